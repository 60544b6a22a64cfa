//! The loss of one batch, as the optimizers ask for it.

use burn::tensor::Tensor;

use crate::prediction::Prediction;
use crate::recorder::Recorder;

/// The loss of a network `M` on one batch.
///
/// Both methods compute in the float type of the module that they are given, which may be a copy in f64: cast the batch with
/// [`like_module`](fosi_burn::like_module). They are the same functions at every call.
pub trait Loss<M> {
    /// The mean loss over the batch: one number.
    fn loss(&self, model: &M) -> Tensor<1>;

    /// The network's outputs on the same batch, every layer called through `recorder`, and the kind of loss. K-FAC asks for
    /// it; `None`, the default, where there is no such form.
    fn predict(&self, _model: &M, _recorder: &mut Recorder) -> Option<Prediction> {
        None
    }
}

/// A closure is a loss without outputs, for every optimizer but K-FAC.
impl<M, F: Fn(&M) -> Tensor<1>> Loss<M> for F {
    fn loss(&self, model: &M) -> Tensor<1> {
        self(model)
    }
}
