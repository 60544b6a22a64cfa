//! The Hessian-vector products of a module's losses, and the checks whether the losses permit them.

use std::cell::Cell;
use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Device;
use fosi::error::{BoxError, LanczosError};
use fosi::operator::{DifferenceQuotient, GradientOracle, SymmetricOperator};

use crate::error::{BridgeError, OptimizerError};
use crate::gradient::Loss;
use crate::module_space::ModuleSpace;
use crate::precision::Precision;
use crate::replica::Replica;
use crate::report::RefreshProgress;

/// The precision of products, and the state of the checks of the losses.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    precision: Precision,
    /// Whether the precision may change to f32 if a loss cannot be evaluated in f64.
    fall_back: bool,
    /// Whether the next losses are to be checked.
    check: bool,
    /// Whether the losses draw random numbers; true if they are not checked.
    draws: bool,
}

impl Products {
    /// Products in f64 if all devices compute in f64; losses are checked.
    pub(crate) fn new(devices: &[Device]) -> Self {
        Self {
            precision: Precision::best(devices, |device| Precision::F64.supported_by(device)),
            fall_back: true,
            check: true,
            draws: false,
        }
    }

    /// Fixes the precision.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        self.fall_back = false;
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Sets whether losses are checked; unchecked losses are assumed to draw random numbers.
    pub(crate) fn set_check(&mut self, check: bool) {
        self.check = check;
        self.draws = !check;
    }

    /// Requests a check of the next losses, even after an earlier check.
    pub(crate) fn check_again(&mut self) {
        self.check = true;
    }

    /// Whether the next losses are checked.
    pub(crate) fn checks(&self) -> bool {
        self.check
    }

    /// Whether products can continue in f32 after `error`.
    pub(crate) fn can_fall_back(&self, error: &BridgeError) -> bool {
        let in_double = matches!(
            error,
            BridgeError::LossPrecision { .. } | BridgeError::LossRounded
        );
        in_double && self.fall_back && self.precision == Precision::F64
    }

    /// Takes products in f32 from here on, unless the precision is fixed.
    pub(crate) fn fall_back(&mut self, error: &dyn std::fmt::Display) {
        if self.fall_back && self.precision == Precision::F64 {
            tracing::warn!(
                %error,
                "products are taken in f32 from here on, by central differences"
            );
            self.precision = Precision::F32;
        }
    }

    /// Checks the losses unless that is done, and returns the number of gradients computed. The precision falls back to
    /// f32 if that is necessary and allowed.
    pub(crate) fn check_losses<M: Module>(
        &mut self,
        module: &M,
        losses: &[Loss<'_, M>],
    ) -> Result<u64, BridgeError> {
        let mut gradients = 0;
        while self.check {
            self.draws = false;
            let replica = Replica::new(module, self.precision)?;
            let mut check = are_fit(&replica, losses, &mut gradients);
            if matches!(check, Err(BridgeError::NotDeterministic { .. })) {
                self.draws = true;
                check = are_fit(&replica.with_drawn_seed()?, losses, &mut gradients);
            }
            match check {
                Ok(()) => self.check = false,
                Err(error) if self.can_fall_back(&error) => self.fall_back(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(gradients)
    }

    /// A replica of the module on which checked losses are the same functions at every evaluation.
    pub(crate) fn replica<M: Module>(&self, module: &M) -> Result<Replica<M>, BridgeError> {
        self.replica_in(self.precision, module)
    }

    /// The same in another precision.
    pub(crate) fn replica_in<M: Module>(
        &self,
        precision: Precision,
        module: &M,
    ) -> Result<Replica<M>, BridgeError> {
        let replica = Replica::new(module, precision)?;
        match self.draws {
            true => replica.with_drawn_seed(),
            false => Ok(replica),
        }
    }

    /// The Hessian from difference quotients of gradients in this precision.
    pub(crate) fn quotient<G: GradientOracle>(&self, oracle: G) -> DifferenceQuotient<G> {
        match self.precision {
            Precision::F64 => DifferenceQuotient::new(oracle),
            Precision::F32 => DifferenceQuotient::central(oracle),
        }
    }
}

/// Checks that the losses are the same functions at every evaluation and computed in f64 throughout; adds to
/// `gradients` the number of gradients computed.
fn are_fit<M: Module>(
    replica: &Replica<M>,
    losses: &[Loss<'_, M>],
    gradients: &mut u64,
) -> Result<(), BridgeError> {
    let count = Cell::new(0);
    let mut checks = losses.iter().map(|loss| {
        let counted = |module: &M| {
            count.set(count.get() + 1);
            loss(module)
        };
        replica.check_determinism(&counted)?;
        replica.check_precision(&counted)
    });
    let result = checks.try_for_each(|check| check);
    *gradients += count.get();
    result
}

/// # Errors
/// [`fosi::Error::InvalidSetting`] without a loss.
pub(crate) fn require_losses<L>(losses: &[L]) -> Result<(), fosi::Error> {
    match losses.is_empty() {
        false => Ok(()),
        true => Err(fosi::Error::InvalidSetting {
            setting: "the number of losses",
            given: "0".into(),
            allowed: "at least 1",
        }),
    }
}

/// A callback before each product, which may cancel the estimation.
pub(crate) type Progress = dyn FnMut(RefreshProgress) -> ControlFlow<()> + Send;

/// An operator that counts its products and reports them to the progress callback, which may cancel the estimation.
pub(crate) struct Watched<'a, S: ModuleSpace> {
    pub operator: &'a mut dyn SymmetricOperator<S>,
    pub progress: Option<&'a mut Progress>,
    pub products: u64,
    pub at_most: u64,
}

impl<S: ModuleSpace> Watched<'_, S> {
    /// Reports the progress before a product.
    fn tell(&mut self) -> Result<(), BoxError> {
        let products = self.products;
        let progress = RefreshProgress {
            products,
            at_most: self.at_most.max(products + 1),
        };
        match self.progress.as_mut().map(|call| call(progress)) {
            Some(ControlFlow::Break(())) => Err(Box::new(BridgeError::Cancelled { products })),
            _ => Ok(()),
        }
    }
}

impl<S: ModuleSpace> SymmetricOperator<S> for Watched<'_, S> {
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        self.tell()?;
        self.products += 1;
        self.operator.apply(v, out)
    }
    fn dim(&self) -> Option<usize> {
        self.operator.dim()
    }
    fn noise(&self) -> f64 {
        self.operator.noise()
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.tell()?;
        let again = self.operator.retry(v, out)?;
        self.products += u64::from(again);
        Ok(again)
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        self.operator.shift()
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.apply_before_shift(v, out)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.start_vector(out)
    }
    fn tolerance(&self) -> f64 {
        self.operator.tolerance()
    }
}

/// The bridge error that made a product fail; otherwise the failure itself.
pub(crate) fn cause(error: LanczosError) -> Result<BridgeError, LanczosError> {
    let LanczosError::Operator { step, source } = error else {
        return Err(error);
    };
    match source.downcast::<BridgeError>() {
        Ok(bridge) => Ok(*bridge),
        Err(source) => Err(LanczosError::Operator { step, source }),
    }
}

/// Converts the error of an estimation outside an optimizer.
pub(crate) fn estimation_error(error: fosi::Error) -> OptimizerError {
    match error {
        fosi::Error::Lanczos(source) => match cause(source) {
            Ok(bridge) => bridge.into(),
            Err(source) => fosi::Error::Lanczos(source).into(),
        },
        other => other.into(),
    }
}
