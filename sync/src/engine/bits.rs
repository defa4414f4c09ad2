//! Numbers in as many bits as they take, one after the other.

/// Writes them.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    held: u128,
    count: u32,
}

impl BitWriter {
    /// The lowest `bits` bits of `value`, at most 64.
    pub(crate) fn put(&mut self, value: u64, bits: u32) {
        self.held |= (u128::from(value) & ((1 << bits) - 1)) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A number of any size, with its length before it.
    pub(crate) fn put_sized(&mut self, value: u64) {
        let bits = u64::BITS - value.leading_zeros();
        self.put(u64::from(bits), 7);
        self.put(value, bits);
    }

    /// The bytes; what is left of the last one is zero.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.held as u8);
        }
        self.bytes
    }
}

/// Reads them.
#[derive(Debug)]
pub(crate) struct BitReader<'b> {
    bytes: std::slice::Iter<'b, u8>,
    held: u128,
    count: u32,
}

impl<'b> BitReader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes: bytes.iter(), held: 0, count: 0 }
    }

    /// The next `bits` bits, at most 64; `None` if there are not as many.
    pub(crate) fn take(&mut self, bits: u32) -> Option<u64> {
        while self.count < bits {
            self.held |= u128::from(*self.bytes.next()?) << self.count;
            self.count += 8;
        }
        let value = (self.held & ((1 << bits) - 1)) as u64;
        self.held >>= bits;
        self.count -= bits;
        Some(value)
    }

    pub(crate) fn take_sized(&mut self) -> Option<u64> {
        let bits = self.take(7)?;
        (bits <= 64).then(|| self.take(bits as u32))?
    }

    /// Whether nothing is left but the zeros that fill the last byte.
    pub(crate) fn is_done(&self) -> bool {
        self.bytes.as_slice().is_empty() && self.held == 0 && self.count < 8
    }
}
