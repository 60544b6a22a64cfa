//! ℝⁿ in tensors on any device of Burn.

use std::ops::{Add, Div, Mul, Range, Sub};

use burn::tensor::{DType, Device, Tensor, TensorData};
use fosi::base::{Elements, Elementwise, MAX_STATE};
use fosi::space::Array;
use fosi::split::{Moved, Split};
use fosi::{Distributed, Error, Host, Ranks, Space};

/// ℝⁿ in `f32` tensors of n entries on one device.
///
/// Vectors and bases stay on the device. Only the few numbers of reductions are copied to the host, with a handful of
/// synchronisations per step. Whole vectors are copied to the host only by [`export`](Space::export) and the like, for
/// checkpoints, and to the device by [`normal`](Space::normal), once per refresh, since its vector is that of [`Host`].
/// The device computes sums in `f32`; if a sum of products over- or underflows, it is recomputed from vectors scaled by
/// their largest entry.
///
/// On several [ranks](Distributed) gradients, products and shards are exchanged through the host. If vectors are whole,
/// all ranks use the sums of rank 0, since kernels of different devices may round differently.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fosi::{Fosi, FosiConfig, Schedule, base::HeavyBall};
/// use fosi_burn::TensorSpace;
///
/// let device = Device::flex();
/// let config = FosiConfig { schedule: Schedule::Never, ..FosiConfig::default() };
/// let mut optimizer = Fosi::new(TensorSpace::new(2, &device), HeavyBall::new(0.9), config)?;
/// let mut theta = Tensor::<1>::from_data([1.0, 2.0], &device);
/// optimizer.step(0.5, &mut theta, &Tensor::<1>::from_data([1.0, 1.0], &device))?;
/// assert_eq!(theta.try_into_vec_as::<f32>().unwrap(), [0.5, 1.5]);
/// # Ok::<(), fosi::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TensorSpace {
    dim: usize,
    device: Device,
    ranks: Ranks,
}

impl TensorSpace {
    /// The space of tensors with `dim` entries on `device`.
    pub fn new(dim: usize, device: &Device) -> Self {
        Self {
            dim,
            device: device.clone().without_autodiff(),
            ranks: Ranks::ALONE,
        }
    }

    /// The device of the vectors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// This rank's entries of a whole vector.
    fn range(&self) -> Range<usize> {
        self.ranks.range(self.dim)
    }

    /// The same vectors on the host.
    fn host(&self) -> Host<f32> {
        Host::new(self.dim).with_ranks(self.ranks.clone())
    }

    fn upload(&self, values: Vec<f32>) -> Tensor<1> {
        let entries = values.len();
        let data = TensorData::new(values, [entries]);
        Tensor::from_data(data, (&self.device, DType::F32))
    }

    /// Copies scalars (tensors of one entry) to the host: sums over this rank's part of the vectors, which become those
    /// over all parts. This is the only place where a step waits for its device.
    ///
    /// A device failure gives NaN, which the optimizer refuses like any non-finite gradient.
    fn sums(&self, scalars: impl Iterator<Item = Tensor<1>>, out: &mut [f64]) {
        read_scalars(scalars, out);
        match self.ranks.is_sharded() {
            true => self.ranks.sum(out),
            false => self.ranks.agree(out),
        }
    }

    fn sum(&self, scalar: Tensor<1>) -> f64 {
        let mut out = [0.0];
        self.sums(std::iter::once(scalar), &mut out);
        out[0]
    }

    /// c ← Qᵀx and d ← Qᵀy, with `N` further sums, in one transfer.
    fn project_with<const N: usize>(
        &self,
        rows: &[Tensor<1>],
        x: &Tensor<1>,
        y: &Tensor<1>,
        c: &mut [f64],
        d: &mut [f64],
        beside: [Tensor<1>; N],
    ) -> [f64; N] {
        let first = dots(rows, x).take(c.len());
        let second = dots(rows, y).take(d.len());
        let mut found = vec![0.0; c.len() + d.len() + N];
        self.sums(first.chain(second).chain(beside), &mut found);
        let (coefficients, beside) = found.split_at(c.len() + d.len());
        c.copy_from_slice(&coefficients[..c.len()]);
        d.copy_from_slice(&coefficients[c.len()..]);
        std::array::from_fn(|i| beside[i])
    }
}

/// A vector on the host; NaN if the device fails.
fn download(x: &Tensor<1>) -> Vec<f32> {
    let [entries] = x.dims();
    x.clone().try_into_vec_as::<f32>().unwrap_or_else(|error| {
        tracing::error!(%error, "a vector could not be read from its device");
        vec![f32::NAN; entries]
    })
}

fn read_scalars(scalars: impl Iterator<Item = Tensor<1>>, out: &mut [f64]) {
    let read = Tensor::cat(scalars.collect(), 0).try_into_vec_as::<f64>();
    match read {
        Ok(values) => out.copy_from_slice(&values),
        Err(error) => {
            tracing::error!(%error, "numbers could not be read from their device");
            out.fill(f64::NAN);
        }
    }
}

/// A basis on a device, one tensor per vector.
#[derive(Debug, Clone, Default)]
pub struct TensorBasis {
    rows: Vec<Tensor<1>>,
}

/// ⟨rowᵢ, x⟩, each a tensor of one entry.
fn dots(rows: &[Tensor<1>], x: &Tensor<1>) -> impl Iterator<Item = Tensor<1>> {
    rows.iter().map(|row| dot(row, x))
}

/// x − Σ cᵢ·rowᵢ.
fn subtract<'a>(
    rows: impl IntoIterator<Item = &'a Tensor<1>>,
    c: &[f64],
    x: Tensor<1>,
) -> Tensor<1> {
    let terms = rows.into_iter().zip(c);
    terms.fold(x, |x, (row, c)| x - row.clone().mul_scalar(*c))
}

fn dot(x: &Tensor<1>, y: &Tensor<1>) -> Tensor<1> {
    (x.clone() * y.clone()).sum()
}

/// A sum of `f32` products below this may have lost terms to underflow.
const SMALLEST_SUM: f64 = 1e-30;

/// Whether a sum of products has neither over- nor underflowed.
fn is_safe(sum: f64) -> bool {
    sum.is_finite() && sum.abs() >= SMALLEST_SUM
}

/// A tensor as operand of the base optimizers' formulas.
#[derive(Debug, Clone)]
struct Entries(Tensor<1>);

macro_rules! entrywise {
    ($($operator:ident $method:ident),*) => {
        $(impl $operator for Entries {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self($operator::$method(self.0, other.0))
            }
        })*
    };
}
entrywise!(Add add, Sub sub, Mul mul, Div div);

impl Elements for Entries {
    fn scale(self, factor: f64) -> Self {
        Self(scaled(self.0, factor))
    }
    fn offset(self, term: f64) -> Self {
        Self(self.0.add_scalar(term))
    }
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
}

fn scaled(x: Tensor<1>, factor: f64) -> Tensor<1> {
    if factor == 1.0 {
        x
    } else {
        x.mul_scalar(factor)
    }
}

impl Space for TensorSpace {
    type Vector = Tensor<1>;
    type Owned = Tensor<1>;
    type Basis = TensorBasis;

    fn dim(&self) -> usize {
        self.dim
    }
    fn ranks(&self) -> &Ranks {
        &self.ranks
    }
    fn epsilon(&self) -> f64 {
        Host::<f32>::new(0).epsilon()
    }
    fn max_value(&self) -> f64 {
        f64::from(f32::MAX)
    }
    fn min_positive(&self) -> f64 {
        f64::from(f32::MIN_POSITIVE)
    }
    fn check(&self, what: &'static str, x: &Tensor<1>) -> Result<(), Error> {
        check_entries(what, x, self.range().len())
    }
    fn zeros(&self) -> Tensor<1> {
        Tensor::zeros([self.range().len()], (&self.device, DType::F32))
    }
    fn normal(&self, seed: u64) -> Tensor<1> {
        self.upload(self.host().normal(seed))
    }
    fn dot(&self, x: &Tensor<1>, y: &Tensor<1>) -> f64 {
        let sum = self.sum(dot(x, y));
        if is_safe(sum) {
            return sum;
        }
        let (a, b) = (self.max_abs(x), self.max_abs(y));
        if a == 0.0 || b == 0.0 || !(a.is_finite() && b.is_finite()) {
            return sum;
        }
        a * b * self.sum(dot(&x.clone().div_scalar(a), &y.clone().div_scalar(b)))
    }
    fn max_abs(&self, x: &Tensor<1>) -> f64 {
        let mut largest = [0.0];
        if x.dims() != [0] {
            // On some devices the maximum is not NaN even if an entry is.
            let poison = x.clone().mul_scalar(0.0).sum();
            read_scalars(std::iter::once(x.clone().max_abs() + poison), &mut largest);
        }
        if self.ranks.is_sharded() {
            return self.ranks.max(largest[0]);
        }
        self.ranks.agree(&mut largest);
        largest[0]
    }
    fn axpby(&self, a: f64, x: &Tensor<1>, b: f64, y: &mut Tensor<1>) {
        let x = scaled(x.clone(), a);
        // If b is zero, y may hold anything, even NaN.
        y.inplace(|y| if b == 0.0 { x } else { scaled(y, b) + x });
    }
    fn clamp(&self, limit: f64, x: &Tensor<1>, y: &mut Tensor<1>) {
        *y = x.clone().clamp(-limit, limit);
    }

    fn size(&self, basis: &TensorBasis) -> usize {
        basis.rows.len()
    }
    fn copy_column(&self, basis: &TensorBasis, index: usize, x: &mut Tensor<1>) {
        *x = basis.rows[index].clone();
    }
    fn project(&self, basis: &TensorBasis, x: &Tensor<1>, c: &mut [f64]) -> f64 {
        self.project_pair(&basis.rows, x, x, c, &mut [])
    }
    fn subtract(&self, basis: &TensorBasis, c: &[f64], x: &mut Tensor<1>) -> f64 {
        x.inplace(|x| subtract(&basis.rows, c, x));
        self.dot(x, x)
    }

    fn project_pair(
        &self,
        vectors: &[Tensor<1>],
        x: &Tensor<1>,
        y: &Tensor<1>,
        c: &mut [f64],
        d: &mut [f64],
    ) -> f64 {
        let [square] = self.project_with(vectors, x, y, c, d, [dot(x, x)]);
        if is_safe(square) {
            return square;
        }
        let largest = self.max_abs(x);
        if largest == 0.0 || !largest.is_finite() {
            return square;
        }
        let scaled = x.clone().div_scalar(largest);
        let [square] = self.project_with(vectors, &scaled, y, c, d, [dot(&scaled, &scaled)]);
        c.iter_mut().for_each(|c| *c *= largest);
        square * largest * largest
    }
    fn subtract_scaled(&self, vectors: &[&Tensor<1>], c: &[f64], a: f64, x: &mut Tensor<1>) -> f64 {
        x.inplace(|x| scaled(subtract(vectors.iter().copied(), c, x), a));
        self.dot(x, x)
    }
    fn rotate(
        &self,
        vectors: &mut Vec<Tensor<1>>,
        columns: &[Vec<f64>],
    ) -> (TensorBasis, Vec<f64>) {
        let rotated = |column: &Vec<f64>| {
            let negative: Vec<f64> = column.iter().map(|y| -y).collect();
            subtract(&*vectors, &negative, self.zeros())
        };
        let rows: Vec<Tensor<1>> = columns.iter().map(rotated).collect();
        let k = rows.len();
        let mut lower = vec![0.0; k * (k + 1) / 2];
        if k > 0 {
            let pairs = (0..k).flat_map(|i| (0..=i).map(move |j| (i, j)));
            self.sums(pairs.map(|(i, j)| dot(&rows[i], &rows[j])), &mut lower);
        }
        let entry = |i: usize, j: usize| lower[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)];
        let gram = (0..k * k).map(|at| entry(at / k, at % k)).collect();
        (TensorBasis { rows }, gram)
    }
    fn split_off(&self, basis: &mut TensorBasis, at: usize) -> TensorBasis {
        TensorBasis {
            rows: basis.rows.split_off(at),
        }
    }
    fn take_vectors(&self, basis: TensorBasis) -> Vec<Tensor<1>> {
        basis.rows
    }

    fn elementwise_step<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Tensor<1>],
        gradient: &Tensor<1>,
        split: &Split<'_, TensorBasis>,
        parameters: &mut Tensor<1>,
        direction: &mut Tensor<1>,
    ) -> Moved {
        let gradient = scaled(gradient.clone(), split.gradient_scale);
        let complement = match split.basis {
            Some(basis) => subtract(&basis.rows, split.coefficients, gradient),
            None => gradient,
        };
        *direction = self.direction::<E>(coefficients, state, complement);
        let mut along = split.subspace_step.to_vec();
        let squares = [dot(direction, direction), dot(parameters, parameters)];
        let rows = match split.basis {
            // The direction of a linear base stays in the complement.
            Some(basis) if !E::LINEAR => &basis.rows[..],
            _ => &[],
        };
        let mut projection = vec![0.0; rows.len()];
        let [mut square, parameter_square] = self.project_with(
            rows,
            direction,
            direction,
            &mut projection,
            &mut [],
            squares,
        );
        let bound =
            parameter_square.sqrt() * (1.0 - split.decay).abs() + square.sqrt() * split.scale;
        if !is_safe(square) {
            square = self.dot(direction, direction);
        }
        if !rows.is_empty() {
            let unit = split.norm_unit;
            square -= split.subspace_update(&projection, &mut along) * unit * unit;
        }
        let bound = bound + along.iter().map(|c| c.abs()).sum::<f64>();
        parameters.inplace(|parameters| {
            let moved =
                scaled(parameters, 1.0 - split.decay) - scaled(direction.clone(), split.scale);
            match split.basis {
                Some(basis) => subtract(&basis.rows, &along, moved),
                None => moved,
            }
        });
        // The triangle inequality usually decides; otherwise the device is queried.
        let finite = bound < 0.25 * self.max_value() || self.max_abs(parameters).is_finite();
        let implied = E::LINEAR || E::SQUARES;
        let finite_state = implied || state.iter().all(|x| self.max_abs(x).is_finite());
        Moved {
            complement_norm: square.max(0.0).sqrt(),
            finite: finite && finite_state,
        }
    }

    fn export(&self, x: &Tensor<1>) -> Array {
        self.host().export(&download(x))
    }
    fn import(&self, array: &Array) -> Result<Tensor<1>, Error> {
        let values = self.host().import(array)?;
        Ok(self.upload(values))
    }
    fn export_basis(&self, basis: &TensorBasis) -> Array {
        let host = self.host();
        let whole = |row: &Tensor<1>| host.whole(&download(row));
        Array::from_rows(&basis.rows.iter().map(whole).collect::<Vec<_>>())
    }
    fn export_column(&self, basis: &TensorBasis, index: usize) -> Array {
        self.export(&basis.rows[index])
    }
    fn import_basis(&self, array: &Array) -> Result<TensorBasis, Error> {
        let host = self.host();
        let rows = host.take_vectors(host.import_basis(array)?);
        Ok(TensorBasis {
            rows: rows.into_iter().map(|row| self.upload(row)).collect(),
        })
    }
}

/// An error unless a vector has the expected number of entries.
fn check_entries(what: &'static str, x: &Tensor<1>, expected: usize) -> Result<(), Error> {
    match x.dims() {
        [found] if found == expected => Ok(()),
        [found] => Err(Error::DimensionMismatch {
            what,
            expected,
            found,
        }),
    }
}

impl Distributed for TensorSpace {
    fn with_ranks(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }
    fn check_whole(&self, what: &'static str, x: &Tensor<1>) -> Result<(), Error> {
        check_entries(what, x, self.dim)
    }
    fn whole_zeros(&self) -> Tensor<1> {
        Tensor::zeros([self.dim], (&self.device, DType::F32))
    }
    fn with_own<R>(&self, whole: &Tensor<1>, work: impl FnOnce(&Tensor<1>) -> R) -> R {
        match self.ranks.is_sharded() {
            true => work(&whole.clone().slice([self.range()])),
            false => work(whole),
        }
    }
    fn with_own_mut<R>(&self, whole: &mut Tensor<1>, work: impl FnOnce(&mut Tensor<1>) -> R) -> R {
        if !self.ranks.is_sharded() {
            return work(whole);
        }
        let range = self.range();
        let mut own = whole.clone().slice([range.clone()]);
        let done = work(&mut own);
        if !range.is_empty() {
            whole.inplace(|whole| whole.slice_assign([range], own));
        }
        done
    }
    fn scale(&self, a: f64, x: &mut Tensor<1>) {
        x.inplace(|x| scaled(x, a));
    }

    fn reduce(&self, weight: f64, whole: &mut Tensor<1>, beside: &mut [f64]) {
        self.on_host(whole, |host, whole| host.reduce(weight, whole, beside));
    }
    fn gather(&self, whole: &mut Tensor<1>) {
        if self.ranks.is_sharded() {
            self.on_host(whole, |host, whole| host.gather(whole));
        }
    }
    fn broadcast(&self, whole: &mut Tensor<1>) {
        self.on_host(whole, |host, whole| host.broadcast(whole));
    }
}

impl TensorSpace {
    /// Exchanges a vector through the host.
    fn on_host(&self, whole: &mut Tensor<1>, exchange: impl FnOnce(&Host<f32>, &mut [f32])) {
        let mut values = download(whole);
        exchange(&self.host(), &mut values);
        *whole = self.upload(values);
    }

    /// d_b of an elementwise base; updates its state.
    fn direction<E: Elementwise>(
        &self,
        coefficients: &E::Coefficients,
        state: &mut [Tensor<1>],
        gradient: Tensor<1>,
    ) -> Tensor<1> {
        debug_assert!(state.len() <= MAX_STATE);
        let mut entries: Vec<Entries> = state.iter_mut().map(|x| Entries(x.extract())).collect();
        let direction = E::direction(coefficients, &mut entries, Entries(gradient)).0;
        for (vector, entries) in state.iter_mut().zip(entries) {
            *vector = entries.0;
        }
        direction
    }
}
