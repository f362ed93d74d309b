//! An alert and its state.

use std::sync::Arc;

use crate::{
    alert::{Alert, Labels, Status},
    dispatch::{AlertRecord, Phase},
    publish::Source,
    store::codec::{Decoder, Encoder, Malformed, codes},
};

codes!(status_code, status, Status { Firing = 1, Resolved = 2 });
codes!(source_code, source, Source { V2 = 1, Webhook = 2 });
codes!(phase_code, phase, Phase { Firing = 1, Resolved = 2, Stale = 3 });

pub(in crate::store) fn write_alert_record(to: &mut Encoder, record: &AlertRecord) {
    to.byte(source_code(record.source));
    to.byte(phase_code(record.phase));
    to.number(record.incident);
    to.time(record.incident_start);
    to.number(record.version);
    to.time(record.changed_at);
    to.time(record.ended);
    to.option(record.last_end, Encoder::time);
    write_alert(to, &record.alert);
    to.option(record.doubt.as_ref(), |to, (until, alert)| {
        to.time(*until);
        write_alert(to, alert);
    });
}

pub(in crate::store) fn read_alert_record(body: &[u8]) -> Result<AlertRecord, Malformed> {
    let mut from = Decoder(body);
    let record = AlertRecord {
        source: source(from.byte()?)?,
        phase: phase(from.byte()?)?,
        incident: from.small()?,
        incident_start: from.time()?,
        version: from.small()?,
        changed_at: from.time()?,
        ended: from.time()?,
        last_end: from.option(Decoder::time)?,
        alert: Arc::new(read_alert(&mut from)?),
        doubt: from.option(|from| Ok((from.time()?, Arc::new(read_alert(from)?))))?,
    };
    from.end()?;
    Ok(record)
}

pub(super) fn write_alert(to: &mut Encoder, alert: &Alert) {
    write_labels(to, &alert.labels);
    write_labels(to, &alert.annotations);
    to.time(alert.starts_at);
    to.time(alert.ends_at);
    to.byte(u8::from(alert.timeout));
    to.text(&alert.generator_url);
    to.time(alert.updated_at);
}

pub(super) fn read_alert(from: &mut Decoder<'_>) -> Result<Alert, Malformed> {
    Ok(Alert {
        labels: read_labels(from)?,
        annotations: read_labels(from)?,
        starts_at: from.time()?,
        ends_at: from.time()?,
        timeout: from.flag()?,
        generator_url: from.text()?.into(),
        updated_at: from.time()?,
    })
}

pub(super) fn write_labels(to: &mut Encoder, labels: &Labels) {
    to.length(labels.len());
    for (name, value) in labels.iter() {
        to.text(name);
        to.text(value);
    }
}

pub(super) fn read_labels(from: &mut Decoder<'_>) -> Result<Labels, Malformed> {
    let count = from.count(2)?;
    (0..count).map(|_| Ok((from.text()?, from.text()?))).collect::<Result<Pairs<'_>, _>>().map(
        |pairs| {
            if pairs.is_empty() { Labels::empty() } else { Labels::from_iter(pairs) }
        },
    )
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{alert_record, hostile};

    proptest! {
        #[test]
        fn alert_comes_back(record in alert_record()) {
            let mut to = Encoder::default();
            write_alert_record(&mut to, &record);
            prop_assert_eq!(read_alert_record(&to.0), Ok(record));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_alert_record(&bytes);
        }
    }
}
