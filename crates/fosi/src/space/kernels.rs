//! The loops over memory: plain loops that vectorise, on blocks that stay in cache.
//!
//! Sums accumulate in f64 in a fixed number of lanes, and no multiplication is contracted with an addition, so
//! that the same input gives the same bits with any instruction set.

use half::bf16;

/// The entries of a host vector: `f32` or `f64`.
pub trait Scalar: Stored + crate::base::Elements + PartialOrd {
    /// Unit roundoff.
    const EPSILON: f64;
    /// The largest finite value.
    const MAX: f64;
    /// Zero.
    const ZERO: Self;
}

impl Scalar for f32 {
    const EPSILON: f64 = f32::EPSILON as f64 / 2.0;
    const MAX: f64 = f32::MAX as f64;
    const ZERO: Self = 0.0;
}

impl Scalar for f64 {
    const EPSILON: f64 = f64::EPSILON / 2.0;
    const MAX: f64 = f64::MAX;
    const ZERO: Self = 0.0;
}

/// The entries of a stored basis: `f32`, `f64` or `bf16` (and `u8`, for bytes in checkpoints).
pub trait Stored: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// The format's name in checkpoints.
    const DTYPE: safetensors::Dtype;
    /// The exact value.
    fn load(self) -> f64;
    /// The nearest representable value.
    fn store(value: f64) -> Self;
    /// Appends the entry's bytes, little end first.
    fn write(self, bytes: &mut Vec<u8>);
    /// Reads an entry from exactly its bytes, little end first.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! stored {
    ($t:ty, $dtype:ident, $load:expr, $store:expr) => {
        impl Stored for $t {
            const DTYPE: safetensors::Dtype = safetensors::Dtype::$dtype;
            #[inline(always)]
            fn load(self) -> f64 {
                $load(self)
            }
            #[inline(always)]
            fn store(value: f64) -> Self {
                $store(value)
            }
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Self {
                let mut entry = [0; size_of::<$t>()];
                entry.copy_from_slice(bytes);
                <$t>::from_le_bytes(entry)
            }
        }
    };
}
stored!(f32, F32, f64::from, |x| x as f32);
stored!(f64, F64, |x| x, |x| x);
stored!(u8, U8, f64::from, |x| x as u8);
// The bits of a bf16 are the upper half of an f32's: a shift vectorises where the general conversion does not.
stored!(
    bf16,
    BF16,
    |x: bf16| f64::from(f32::from_bits(u32::from(x.to_bits()) << 16)),
    bf16::from_f64
);

/// Accumulators that a sum is spread over.
const LANES: usize = 8;

/// ⟨rowᵢ, x⟩ for R rows at once, so that x is loaded once for all.
#[inline(always)]
fn dot_rows<const R: usize, B: Stored, T: Stored>(rows: [&[B]; R], x: &[T]) -> [f64; R] {
    let mut lanes = [[0.0; LANES]; R];
    let whole = x.len() / LANES * LANES;
    let rows = rows.map(|row| &row[..x.len()]);
    let mut i = 0;
    while i < whole {
        let x: [f64; LANES] = std::array::from_fn(|j| x[i + j].load());
        for (lanes, row) in lanes.iter_mut().zip(rows) {
            let row = &row[i..i + LANES];
            for j in 0..LANES {
                lanes[j] += row[j].load() * x[j];
            }
        }
        i += LANES;
    }
    std::array::from_fn(|r| {
        let l = lanes[r];
        let tail: f64 = (whole..x.len())
            .map(|i| rows[r][i].load() * x[i].load())
            .sum();
        ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7])) + tail
    })
}

/// Adds ⟨rowᵢ, x⟩ to `sums[i]` on one block.
#[inline(always)]
pub(super) fn dot_block<'a, B: Stored, T: Stored>(
    row: impl Fn(usize) -> &'a [B],
    x: &[T],
    sums: &mut [f64],
) {
    let mut i = 0;
    while i + 4 <= sums.len() {
        let part = dot_rows([row(i), row(i + 1), row(i + 2), row(i + 3)], x);
        for (sum, part) in sums[i..].iter_mut().zip(part) {
            *sum += part;
        }
        i += 4;
    }
    while i < sums.len() {
        sums[i] += dot_rows([row(i)], x)[0];
        i += 1;
    }
}

/// ‖x‖² of one block.
#[inline(always)]
pub(super) fn square_block<T: Stored>(x: &[T]) -> f64 {
    dot_rows([x], x)[0]
}

/// out += Σᵢ cᵢ·rowᵢ on one block.
#[inline(always)]
pub(super) fn combine_block<'a, B: Stored>(
    row: impl Fn(usize) -> &'a [B],
    c: &[f64],
    out: &mut [f64],
) {
    let n = out.len();
    let mut i = 0;
    while i + 4 <= c.len() {
        let r = [
            &row(i)[..n],
            &row(i + 1)[..n],
            &row(i + 2)[..n],
            &row(i + 3)[..n],
        ];
        let c = [c[i], c[i + 1], c[i + 2], c[i + 3]];
        for j in 0..n {
            let pairs = (c[0] * r[0][j].load() + c[1] * r[1][j].load())
                + (c[2] * r[2][j].load() + c[3] * r[3][j].load());
            out[j] += pairs;
        }
        i += 4;
    }
    while i < c.len() {
        let (row, c) = (&row(i)[..n], c[i]);
        for j in 0..n {
            out[j] += c * row[j].load();
        }
        i += 1;
    }
}
