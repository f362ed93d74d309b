//! CRC-32C (Castagnoli), the checksum of every record.

/// Reflected polynomial.
const POLYNOMIAL: u32 = 0x82F6_3B78;
/// `TABLES[k][b]`: what byte `b` comes to after `k` more bytes.
static TABLES: [[u32; 256]; 8] = tables();

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32c(u32);

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

// === impl Crc32c ===

impl Crc32c {
    pub(super) const fn new() -> Self {
        Self(!0)
    }

    /// Adds bytes, eight at a time.
    pub(super) fn update(mut self, bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            let word = u64::from_le_bytes(*chunk) ^ u64::from(self.0);
            self.0 = word
                .to_le_bytes()
                .iter()
                .zip(TABLES.iter().rev())
                .fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            let at = self.0.to_le_bytes()[0] ^ byte;
            self.0 = self.0 >> 8 ^ TABLES[0][usize::from(at)];
        }
        self
    }

    pub(super) const fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(bytes: &[u8]) -> u32 {
        Crc32c::new().update(bytes).finish()
    }

    #[test]
    fn vectors_of_rfc_3720_match() {
        assert_eq!(crc(b"123456789"), 0xE306_9283);
        assert_eq!(crc(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc(&[0xFF; 32]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc(&ascending), 0x46DD_794E);
    }

    #[test]
    fn where_the_bytes_are_cut_makes_no_difference() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(Crc32c::new().update(left).update(right).finish(), crc(&bytes), "{cut}");
        }
    }
}
