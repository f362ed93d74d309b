//! Damages of single pages that a start runs into.

use fanfare::store;

use super::apart::in_a_process;
use super::damage::{End, open_damaged, written};
use super::disk::Disk;
use super::machine::settings;

/// What a start tidies up is in a page that redb panics at, and once more when it lets go of the file. Control: a
/// start that is not guarded as a whole panics.
#[test]
fn panic_while_a_start_tidies_up_is_a_refusal() {
    let file = written(10_000);
    let mut image = file.image.clone();
    image[83_569] ^= 1 << 5;
    in_a_process("store::pages::panic_while_a_start_tidies_up_is_a_refusal", || {
        assert_eq!(open_damaged(image, &file.picture), Ok(End::Refused));
    });
}

/// Where the branches of trees point to the pages below them: redb writes the kind of the page, how many
/// keys it has, and after the checksums one number for each page.
fn pointers(image: &[u8]) -> impl Iterator<Item = usize> {
    let branch = |(number, page): (usize, &[u8])| {
        let children = 1 + usize::from(u16::from_le_bytes([page[2], page[3]]));
        let is_branch = page[..2] == [2, 0] && page[4..8] == [0; 4] && children < 150;
        is_branch.then(|| (0..children).map(move |at| number * 4_096 + 8 + 16 * children + 8 * at))
    };
    image
        .chunks_exact(4_096)
        .enumerate()
        .filter_map(branch)
        .flatten()
        .collect::<Vec<_>>()
        .into_iter()
}

/// A pointer in a tree leads to the page of other keys, all of whose records are intact: an alert comes
/// twice. Control: without a look at the order of the keys, it is delivered twice.
#[test]
fn page_of_other_keys_is_not_taken_for_the_one_asked_for() {
    let file = written(3_000);
    let misleading =
        pointers(&file.image).flat_map(|at| (0..8).map(move |bit| (at, bit))).find(|(at, bit)| {
            let mut image = file.image.clone();
            image[*at] ^= 1 << bit;
            let opened = store::open_backend(Disk::with_image(1, image).open(), settings());
            opened.is_err_and(|error| error.to_string().contains("out of order"))
        });
    let (at, bit) = misleading.expect("some pointer is one bit away from another page of its tree");
    let mut image = file.image.clone();
    image[at] ^= 1 << bit;
    assert_eq!(open_damaged(image, &file.picture), Ok(End::Refused));
}
