//! The files that are generated from the custom resources.

use std::{fs, path::Path};

use fanfare::cli::crd;
use serde_json::Value;

const DIRECTORIES: [&str; 2] = ["crds", "charts/fanfare/files/crds"];

#[test]
fn crds_are_up_to_date() {
    for directory in DIRECTORIES {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let files = crd::crds().unwrap();
        for file in &files {
            let path = directory.join(&file.name);
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == file.yaml,
                "{} differs from the code: run make crds and commit the result",
                path.display()
            );
        }
        let entries = fs::read_dir(&directory).unwrap().count();
        assert_eq!(entries, files.len(), "{}", directory.display());
    }
}

#[test]
fn yaml_reads_back_as_the_definition() {
    for (file, crd) in crd::crds().unwrap().iter().zip(fanfare::api::crd::all()) {
        let read: Value = serde_saphyr::from_str(&file.yaml).unwrap();
        let mut expected = serde_json::to_value(crd).unwrap();
        whole_numbers(&mut expected);
        let mut read = read;
        whole_numbers(&mut read);
        assert_eq!(read, expected, "{}", file.name);
    }
}

#[test]
fn written_files_are_the_printed_ones() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("a/b");
    crd::write(&nested).unwrap();
    for file in crd::crds().unwrap() {
        assert_eq!(fs::read_to_string(nested.join(&file.name)).unwrap(), file.yaml);
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = crd::write(&file).unwrap_err().to_string();
    assert_eq!(error, format!("write {}", file.display()));
}

/// YAML has one kind of number; a bound of 1.0 and one of 1 are the same.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            *value = format!("{}", number.as_f64().unwrap()).parse().unwrap();
        }
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        _ => {}
    }
}
