//! The loss of one batch, in the form that the optimizers use.

use burn::tensor::Tensor;

use crate::prediction::Prediction;
use crate::recorder::Recorder;

/// The loss of a network `M` on one batch.
///
/// Both methods compute in the float type of `model`, which may be a copy in f64: cast the batch with
/// [`like_module`](fosi_burn::like_module). They must be the same functions at every call.
pub trait Loss<M> {
    /// The mean loss over the batch: one number.
    fn loss(&self, model: &M) -> Tensor<1>;

    /// The network's outputs on the same batch, with every layer called through `recorder`, and the kind of loss. Only
    /// K-FAC needs it; default `None`.
    fn predict(&self, _model: &M, _recorder: &mut Recorder) -> Option<Prediction> {
        None
    }
}

/// A closure is a loss without outputs, for every optimizer except K-FAC.
impl<M, F: Fn(&M) -> Tensor<1>> Loss<M> for F {
    fn loss(&self, model: &M) -> Tensor<1> {
        self(model)
    }
}
