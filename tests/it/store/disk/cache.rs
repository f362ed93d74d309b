//! What becomes of changes that no sync confirmed.

const SECTOR: u64 = 512;

/// One step of the recorded past.
#[derive(Clone, Debug)]
pub(in super::super) enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

/// Makes the change; what lies beyond the end is cut off.
pub(in super::super) fn apply(image: &mut Vec<u8>, change: &Change) {
    let at = |offset: u64| usize::try_from(offset).expect("the disk is in memory");
    match change {
        Change::SetLen(len) => image.resize(at(*len), 0),
        Change::Write { offset, data } => {
            let start = at(*offset).min(image.len());
            let end = (start + data.len()).min(image.len());
            image[start..end].copy_from_slice(&data[..end - start]);
        }
    }
}

/// Puts a random part of `changes` on the platter. A sector holds one of the versions that were
/// written to it; lengths are journalled by the file system, so that they survive in order.
pub(super) fn survive(platter: &mut Vec<u8>, changes: Vec<Change>, rng: &mut fastrand::Rng) {
    let lengths = changes.iter().filter(|change| matches!(change, Change::SetLen(_))).count();
    let mut lengths = rng.usize(0..=lengths);
    let whole = *rng.choice(&[0.0, 0.1, 0.4, 0.8, 1.0]).expect("it is not empty");
    let torn = *rng.choice(&[0.0, 0.3, 1.0]).expect("it is not empty");
    for change in changes {
        match change {
            Change::SetLen(_) if lengths == 0 => {}
            Change::SetLen(_) => {
                lengths -= 1;
                apply(platter, &change);
            }
            Change::Write { .. } if rng.f64() < whole => apply(platter, &change),
            Change::Write { offset, data } if rng.f64() < torn => {
                tear(platter, offset, &data, rng);
            }
            Change::Write { .. } => {}
        }
    }
}

/// Writes some sectors of `data`: the first, the last, or any.
fn tear(platter: &mut Vec<u8>, offset: u64, data: &[u8], rng: &mut fastrand::Rng) {
    let sectors = offset / SECTOR..(offset + data.len() as u64).div_ceil(SECTOR);
    let split = rng.u64(sectors.clone());
    let way = rng.u8(0..3);
    for sector in sectors {
        let kept = match way {
            0 => sector < split,
            1 => sector > split,
            _ => rng.bool(),
        };
        if !kept {
            continue;
        }
        let from = (sector * SECTOR).max(offset);
        let to = ((sector + 1) * SECTOR).min(offset + data.len() as u64);
        let within = |at: u64| usize::try_from(at - offset).expect("the disk is in memory");
        let part = data[within(from)..within(to)].to_vec();
        apply(platter, &Change::Write { offset: from, data: part });
    }
}
