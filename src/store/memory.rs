//! Storage in memory: in pieces, so that growing copies nothing and shrinking gives memory back.

use std::{
    io,
    sync::{PoisonError, RwLock},
};

use redb::StorageBackend;

const PIECE: usize = 256 * 1024;

/// Storage in memory. Pieces that were never written take none.
#[derive(Default)]
pub(super) struct Memory(RwLock<Pieces>);

#[derive(Default)]
struct Pieces {
    pieces: Vec<Option<Box<[u8]>>>,
    length: u64,
}

// === impl Pieces ===

impl Pieces {
    /// Calls `each` with the number of a piece, where to begin in it, and the range of the bytes that
    /// belong there.
    fn cut(
        &self,
        offset: u64,
        length: usize,
        mut each: impl FnMut(usize, usize, std::ops::Range<usize>),
    ) -> io::Result<()> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.length);
        let beyond = || io::Error::from(io::ErrorKind::UnexpectedEof);
        end.ok_or_else(beyond)?;
        let start = usize::try_from(offset).map_err(|_| beyond())?;
        let mut done = 0;
        while done < length {
            let at = start + done;
            let part = (PIECE - at % PIECE).min(length - done);
            each(at / PIECE, at % PIECE, done..done + part);
            done += part;
        }
        Ok(())
    }
}

// === impl Memory ===

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.cut(offset, out.len(), |piece, from, range| {
            let length = range.len();
            match &held.pieces[piece] {
                Some(piece) => out[range].copy_from_slice(&piece[from..from + length]),
                None => out[range].fill(0),
            }
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = usize::try_from(length).map_err(io::Error::other)?;
        held.pieces.resize_with(bytes.div_ceil(PIECE), || None);
        // What is cut off must be zero if it comes back.
        if length < held.length
            && bytes % PIECE > 0
            && let Some(Some(last)) = held.pieces.last_mut()
        {
            last[bytes % PIECE..].fill(0);
        }
        held.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut parts = Vec::new();
        held.cut(offset, data.len(), |piece, from, range| parts.push((piece, from, range)))?;
        for (piece, from, range) in parts {
            let piece = held.pieces[piece].get_or_insert_with(|| vec![0; PIECE].into());
            piece[from..from + range.len()].copy_from_slice(&data[range]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_redbs_own_does(
            steps in prop::collection::vec((0..3_u8, 0..4 * PIECE, 1..PIECE), 1..30),
        ) {
            let (ours, theirs) = (Memory::default(), InMemoryBackend::new());
            for (n, (kind, at, length)) in steps.into_iter().enumerate() {
                if kind == 0 {
                    ours.set_len(at as u64).unwrap();
                    theirs.set_len(at as u64).unwrap();
                } else {
                    let data = vec![n.to_le_bytes()[0] + 1; length];
                    let written = ours.write(at as u64, &data).is_ok();
                    prop_assert_eq!(written, theirs.write(at as u64, &data).is_ok());
                }
                let length = usize::try_from(theirs.len().unwrap()).unwrap();
                prop_assert_eq!(ours.len().unwrap(), length as u64);
                let (mut a, mut b) = (vec![9; length], vec![8; length]);
                ours.read(0, &mut a).unwrap();
                theirs.read(0, &mut b).unwrap();
                prop_assert!(a == b);
            }
        }
    }

    #[test]
    fn reading_beyond_the_end_is_an_error() {
        let memory = Memory::default();
        memory.set_len(10).unwrap();
        assert!(memory.read(5, &mut [0; 6]).is_err());
        assert!(memory.read(u64::MAX, &mut [0; 6]).is_err());
        memory.read(5, &mut [0; 5]).unwrap();
    }
}
