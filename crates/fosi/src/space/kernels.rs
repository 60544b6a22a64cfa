//! The loops over memory: plain, vectorisable loops on blocks that stay in cache.
//!
//! Combinations of basis vectors are summed in the vectors' own precision, a few terms at a time. Dot products sum
//! eight products at a time in that precision and accumulate these sums in f64, in a fixed number of lanes and a fixed
//! order. For f32 the error is that of rounding in sums of eight products, which is below the effect of the vectors'
//! own rounding, and this takes half the time. The same input gives the same bits on any machine with fused
//! multiply-add, whatever the width of its vectors. The formulas of the base optimizers are never contracted.

use half::bf16;
use pulp::{Arch, Simd, WithSimd};

use crate::communicator::Numbers;

/// The entries of a host vector: `f32` or `f64`.
pub trait Scalar: Stored + crate::elementwise::Elements + PartialOrd {
    /// Unit roundoff.
    const EPSILON: f64;
    /// The largest finite value.
    const MAX: f64;
    /// The smallest positive normal value.
    const MIN_POSITIVE: f64;
    /// Zero.
    const ZERO: Self;
    /// The nearest value to a stored entry.
    fn of(entry: impl Stored) -> Self;
    /// self·b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The entries in the form that collectives take.
    fn numbers(entries: &mut [Self]) -> Numbers<'_>;
}

impl Scalar for f32 {
    const EPSILON: f64 = f32::EPSILON as f64 / 2.0;
    const MAX: f64 = f32::MAX as f64;
    const MIN_POSITIVE: f64 = f32::MIN_POSITIVE as f64;
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn of(entry: impl Stored) -> Self {
        entry.load_single()
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f32::mul_add(self, b, c)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    fn numbers(entries: &mut [Self]) -> Numbers<'_> {
        Numbers::F32(entries)
    }
}

impl Scalar for f64 {
    const EPSILON: f64 = f64::EPSILON / 2.0;
    const MAX: f64 = f64::MAX;
    const MIN_POSITIVE: f64 = f64::MIN_POSITIVE;
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn of(entry: impl Stored) -> Self {
        entry.load()
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f64::mul_add(self, b, c)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    fn numbers(entries: &mut [Self]) -> Numbers<'_> {
        Numbers::F64(entries)
    }
}

/// The types of stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `bf16`: the upper half of an `f32`.
    BF16,
    /// Bytes.
    U8,
}

/// The entries of a stored basis: `f32`, `f64` or `bf16` (and `u8`, for bytes in checkpoints).
pub trait Stored: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// The type's name in checkpoints.
    const TYPE: ElementType;
    /// The exact value.
    fn load(self) -> f64;
    /// The nearest `f32`.
    fn load_single(self) -> f32;
    /// The nearest representable value.
    fn store(value: f64) -> Self;
    /// Appends the entry's bytes, little-endian.
    fn write(self, bytes: &mut Vec<u8>);
    /// Reads an entry from exactly its bytes, little-endian.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! stored {
    ($t:ty, $dtype:ident, $load:expr, $single:expr, $store:expr) => {
        impl Stored for $t {
            const TYPE: ElementType = ElementType::$dtype;
            #[inline(always)]
            fn load(self) -> f64 {
                $load(self)
            }
            #[inline(always)]
            fn load_single(self) -> f32 {
                $single(self)
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
stored!(f32, F32, f64::from, |x| x, |x| x as f32);
stored!(f64, F64, |x| x, |x| x as f32, |x| x);
stored!(u8, U8, f64::from, f32::from, |x| x as u8);
stored!(bf16, BF16, |x| f64::from(widen(x)), widen, bf16::from_f64);

/// The bits of a bf16 are the upper half of an f32's. A shift vectorises; the general conversion does not.
#[inline(always)]
fn widen(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// Runs `f` compiled for the best instruction set of this machine; the argument of `f` is whether that set has fused
/// multiply-add.
///
/// `FnMut`, since a closure called through `FnOnce` passes a shim that is compiled for the baseline instruction set;
/// for the same reason `f` and its callees must be `#[inline(always)]`.
#[inline(always)]
pub(super) fn vectorised<R>(f: impl FnMut(bool) -> R) -> R {
    struct Call<F>(F);
    impl<R, F: FnMut(bool) -> R> WithSimd for Call<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _simd: S) -> R {
            (self.0)(!S::IS_SCALAR && !cfg!(target_family = "wasm"))
        }
    }
    Arch::new().dispatch(Call(f))
}

/// a·b + c; unfused if the instruction is missing, since the fused form would be a library call.
#[inline(always)]
fn multiply_add<T: Scalar>(fused: bool, a: T, b: T, c: T) -> T {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// An array aligned to cache lines: an access across two lines takes twice as long.
#[repr(align(64))]
pub(super) struct Aligned<const N: usize, T = f64>([T; N]);

impl<const N: usize, T: Scalar> Aligned<N, T> {
    pub(super) const ZERO: Self = Self([T::ZERO; N]);

    #[inline(always)]
    pub(super) fn first(&mut self, len: usize) -> &mut [T] {
        &mut self.0[..len]
    }
}

/// The number of f64 accumulators per sum.
const LANES: usize = 16;
/// The number of products summed in the vectors' own precision before accumulation in f64. Converting each product
/// would take longer than reading it from memory.
const WAYS: usize = 8;
/// Entries per round over all accumulators.
const CHUNK: usize = LANES * WAYS;

/// How many of the remaining rows are read together: four or five if there are that many. A single row exposes the
/// memory latency, and eight rows exceed what the prefetcher can track.
#[inline(always)]
fn group(left: usize) -> usize {
    left.div_ceil(left.div_ceil(5).max(1))
}

/// ⟨rowᵢ, xₚ⟩ for R rows and P vectors at once, with short sums in precision `A`.
#[inline(always)]
fn dot_rows<const R: usize, const P: usize, B: Stored, T: Stored, A: Scalar>(
    fused: bool,
    rows: [&[B]; R],
    x: [&[T]; P],
) -> [[f64; R]; P] {
    let mut lanes = [const { [const { Aligned::<LANES, f64>::ZERO }; R] }; P];
    let n = x[0].len();
    let chunks = rows.map(|row| row[..n].as_chunks::<CHUNK>());
    let x_chunks = x.map(|x| x[..n].as_chunks::<CHUNK>());
    for i in 0..n / CHUNK {
        let rows = chunks.map(|row| &row.0[i]);
        add_chunk::<R, P, B, T, A>(fused, rows, x_chunks.map(|x| &x.0[i]), &mut lanes);
    }
    if !n.is_multiple_of(CHUNK) {
        let rows = chunks.map(|row| padded(row.1));
        let x = x_chunks.map(|x| padded(x.1));
        add_chunk::<R, P, B, T, A>(fused, rows.each_ref(), x.each_ref(), &mut lanes);
    }
    let mut sums = [[0.0; R]; P];
    for p in 0..P {
        for r in 0..R {
            sums[p][r] = fold(&mut lanes[p][r]);
            if !sums[p][r].is_finite() {
                sums[p][r] = dot_exact(rows[r], x[p]);
            }
        }
    }
    sums
}

/// Adds the products of one chunk to the lanes.
#[inline(always)]
fn add_chunk<const R: usize, const P: usize, B: Stored, T: Stored, A: Scalar>(
    fused: bool,
    rows: [&[B; CHUNK]; R],
    x: [&[T; CHUNK]; P],
    lanes: &mut [[Aligned<LANES>; R]; P],
) {
    for r in 0..R {
        let row = rows[r];
        for j in 0..LANES {
            let entries: [A; WAYS] = std::array::from_fn(|w| A::of(row[w * LANES + j]));
            for p in 0..P {
                let mut sum = A::ZERO;
                for w in 0..WAYS {
                    let x = A::of(x[p][w * LANES + j]);
                    sum = multiply_add(fused, entries[w], x, sum);
                }
                lanes[p][r].0[j] += sum.load();
            }
        }
    }
}

/// A chunk of these entries, padded with zeros.
#[inline(always)]
fn padded<T: Stored>(entries: &[T]) -> [T; CHUNK] {
    let mut chunk = [T::store(0.0); CHUNK];
    chunk[..entries.len()].copy_from_slice(entries);
    chunk
}

/// ⟨x, y⟩ entirely in f64, for products that over- or underflow in the vectors' own precision.
#[cold]
#[inline(never)]
fn dot_exact<B: Stored, T: Stored>(x: &[B], y: &[T]) -> f64 {
    let mut lanes = Aligned::<LANES, f64>::ZERO;
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for ((lane, x), y) in lanes.0.iter_mut().zip(x).zip(y) {
            *lane += x.load() * y.load();
        }
    }
    fold(&mut lanes)
}

/// The sum of the lanes, pairwise.
#[inline(always)]
fn fold(lanes: &mut Aligned<LANES>) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for j in 0..half {
            lanes.0[j] += lanes.0[j + half];
        }
        half /= 2;
    }
    lanes.0[0]
}

/// Adds ⟨rowᵢ, xₚ⟩ to `sums[p][i]` on one block.
#[inline(always)]
pub(super) fn dot_block<'a, const P: usize, B: Stored, T: Stored, A: Scalar>(
    fused: bool,
    row: impl Fn(usize) -> &'a [B],
    x: [&[T]; P],
    mut sums: [&mut [f64]; P],
) {
    // From the last row backwards: Lanczos' newest vector is also one of x.
    let mut left = sums[0].len();
    while left > 0 {
        left = match group(left) {
            5 => add_dots::<5, P, B, T, A>(fused, left, &row, x, &mut sums),
            4 => add_dots::<4, P, B, T, A>(fused, left, &row, x, &mut sums),
            3 => add_dots::<3, P, B, T, A>(fused, left, &row, x, &mut sums),
            2 => add_dots::<2, P, B, T, A>(fused, left, &row, x, &mut sums),
            _ => add_dots::<1, P, B, T, A>(fused, left, &row, x, &mut sums),
        };
    }
}

/// The R rows before the row `end` of [`dot_block`]; returns the first of them.
#[inline(always)]
fn add_dots<'a, const R: usize, const P: usize, B: Stored, T: Stored, A: Scalar>(
    fused: bool,
    end: usize,
    row: &impl Fn(usize) -> &'a [B],
    x: [&[T]; P],
    sums: &mut [&mut [f64]; P],
) -> usize {
    let i = end - R;
    let parts = dot_rows::<R, P, B, T, A>(fused, std::array::from_fn(|r| row(i + r)), x);
    for p in 0..P {
        for r in 0..R {
            sums[p][i + r] += parts[p][r];
        }
    }
    i
}

/// ⟨x, y⟩ of one block.
#[inline(always)]
pub(super) fn dot_pair<T: Scalar>(fused: bool, x: &[T], y: &[T]) -> f64 {
    let sum = dot_rows::<1, 1, T, T, T>(fused, [x], [y])[0][0];
    // Such small f32 products have lost digits.
    if sum.abs() < 1e-30 {
        dot_exact(x, y)
    } else {
        sum
    }
}

/// ‖x‖² of one block.
#[inline(always)]
pub(super) fn square_block<T: Scalar>(fused: bool, x: &[T]) -> f64 {
    dot_pair(fused, x, x)
}

/// 1 if an entry of the block is not finite, otherwise 0, as a term of a sum over blocks.
#[inline(always)]
pub(super) fn non_finite<T: Scalar>(x: &[T]) -> f64 {
    let finite = x.iter().fold(true, |finite, x| finite & x.is_finite());
    f64::from(!finite)
}

/// ‖x/unit‖² of one block.
#[inline(always)]
pub(super) fn square_in_units<T: Scalar>(fused: bool, x: &[T], unit: f64) -> f64 {
    if unit == 1.0 {
        return square_block(fused, x);
    }
    x.iter().map(|x| (x.load() / unit).powi(2)).sum()
}

/// The coefficients of a combination, in a unit that keeps them and its partial sums finite in `A`.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    values: &'a [f64],
    /// A power of two; 1 unless the coefficients nearly overflow.
    pub(super) unit: f64,
}

impl<'a> Weights<'a> {
    pub(super) fn new<A: Scalar>(values: &'a [f64]) -> Self {
        let largest = values.iter().fold(0.0_f64, |m, c| m.max(c.abs()));
        let unit = if largest > A::MAX.sqrt() {
            largest.log2().floor().exp2()
        } else {
            1.0
        };
        Self { values, unit }
    }
}

/// outₚ ← Σᵢ cₚᵢ·rowᵢ/unitₚ on one block, each row read once for all P.
///
/// The error of each sum is a few rounding errors in `A` of the largest term.
#[inline(always)]
pub(super) fn combine_block<'a, const P: usize, B: Stored, A: Scalar>(
    fused: bool,
    row: impl Fn(usize) -> &'a [B],
    c: [Weights<'_>; P],
    mut out: [&mut [A]; P],
) {
    let count = c[0].values.len();
    if count == 0 {
        out.iter_mut().for_each(|out| out.fill(A::ZERO));
    }
    let mut i = 0;
    while i < count {
        i += match group(count - i) {
            5 => add_rows::<5, P, B, A>(fused, i, &row, c, &mut out),
            4 => add_rows::<4, P, B, A>(fused, i, &row, c, &mut out),
            3 => add_rows::<3, P, B, A>(fused, i, &row, c, &mut out),
            2 => add_rows::<2, P, B, A>(fused, i, &row, c, &mut out),
            _ => add_rows::<1, P, B, A>(fused, i, &row, c, &mut out),
        };
    }
}

/// The rows from `i` to `i + R` of [`combine_block`]; returns R.
#[expect(
    clippy::needless_range_loop,
    reason = "j runs through all slices together"
)]
#[inline(always)]
fn add_rows<'a, const R: usize, const P: usize, B: Stored, A: Scalar>(
    fused: bool,
    i: usize,
    row: &impl Fn(usize) -> &'a [B],
    c: [Weights<'_>; P],
    out: &mut [&mut [A]; P],
) -> usize {
    let n = out[0].len();
    let rows: [&[B]; R] = std::array::from_fn(|r| &row(i + r)[..n]);
    let c = c.map(|c| std::array::from_fn::<A, R, _>(|r| A::store(c.values[i + r] / c.unit)));
    let out = out.each_mut().map(|out| &mut out[..n]);
    // Two loops, since one loop with the branch inside does not vectorise.
    if i == 0 {
        for j in 0..n {
            let sums = entry_sums(fused, &rows, &c, j);
            for p in 0..P {
                out[p][j] = sums[p];
            }
        }
    } else {
        for j in 0..n {
            let sums = entry_sums(fused, &rows, &c, j);
            for p in 0..P {
                out[p][j] = out[p][j] + sums[p];
            }
        }
    }
    R
}

/// Σᵣ cₚᵣ·rowᵣ at the entry j.
#[inline(always)]
fn entry_sums<const R: usize, const P: usize, B: Stored, A: Scalar>(
    fused: bool,
    rows: &[&[B]; R],
    c: &[[A; R]; P],
    j: usize,
) -> [A; P] {
    let mut sums = [A::ZERO; P];
    for r in 0..R {
        let entry = A::of(rows[r][j]);
        for p in 0..P {
            sums[p] = multiply_add(fused, c[p][r], entry, sums[p]);
        }
    }
    sums
}
