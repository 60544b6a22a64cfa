//! The names of a run's choices.

use strum::EnumIter;

use crate::data::DataName;
use crate::names::named;

named! {
    "task",
    /// What is trained. The variants are in the order of reports.
    #[derive(PartialOrd, Ord, EnumIter)]
    pub enum TaskName {
        /// Audio classification with a MobileNet.
        Ac,
        /// A language model over characters.
        Lm,
        /// An autoencoder: convolutional on colour images, dense on grey ones.
        Ae,
        /// Transfer learning: a new layer on a frozen ResNet-18.
        Tl,
        /// Logistic regression on digits.
        Lr,
    }
}

impl TaskName {
    /// The data sets that the task can be trained on, its usual one first.
    pub fn data_sets(self) -> &'static [DataName] {
        match self {
            Self::Lr => &[DataName::Digits, DataName::Mnist],
            Self::Ae => &[DataName::Cifar10, DataName::Mnist, DataName::Digits],
            Self::Tl => &[DataName::Cifar10],
            Self::Lm => &[DataName::Tinyshakespeare],
            Self::Ac => &[DataName::Fsdd, DataName::Audioset],
        }
    }
}

named! {
    "preset",
    /// A set of defaults.
    #[derive(Default)]
    pub enum Preset {
        /// Minutes on two cores: narrower models, less data, T from ρ = 1.1.
        #[default]
        Small,
        /// The paper's model and settings.
        Paper,
    }
}

named! {
    "algorithm",
    /// Which algorithm FOSI is.
    #[derive(Default)]
    pub enum Algorithm {
        /// The paper's with the safeguards of [`fosi::FosiConfig::safeguards`].
        #[default]
        Guarded,
        /// The paper's Algorithms 1 and 2; the run's notes say where a safeguard would have acted.
        Paper,
    }
}

named! {
    "newton-rate",
    /// What α does over a run: see [`fosi::NewtonRate`].
    pub enum NewtonRateRule {
        /// It follows the learning rate's schedule.
        Following,
        /// It stays the same, as in the paper.
        Constant,
        /// It follows the schedule, and along directions of signal it grows up to the base optimizer's learning rate.
        Adaptive,
    }
}

impl NewtonRateRule {
    /// The library's setting.
    pub fn setting(self, alpha: f64) -> fosi::NewtonRate {
        match self {
            Self::Following => fosi::NewtonRate::Following(alpha),
            Self::Constant => fosi::NewtonRate::Constant(alpha),
            Self::Adaptive => fosi::NewtonRate::adaptive(alpha),
        }
    }
}

named! {
    "schedule",
    /// How the learning rate changes over a run.
    #[derive(Default)]
    pub enum LearningRateSchedule {
        /// Not at all.
        #[default]
        Constant,
        /// Falls to zero along half a cosine.
        Cosine,
        /// Falls to zero along a line.
        Linear,
    }
}

named! {
    "precision",
    /// How Hessian-vector products are computed.
    #[derive(Default)]
    pub enum HvpPrecision {
        /// Difference quotients of gradients in f64: exact to about six digits.
        #[default]
        F64,
        /// In f32: for devices without f64; unreliable with ReLU.
        F32,
    }
}

named! {
    "mode",
    /// Whose batch norm the Hessian is taken with.
    #[derive(Default)]
    pub enum HvpMode {
        /// Normalising by the batch, as in training and in the paper.
        #[default]
        Train,
        /// Normalising by the running statistics.
        Eval,
    }
}

named! {
    "choice",
    /// Which checkpoints of a run are kept.
    #[derive(Default)]
    pub enum KeptCheckpoints {
        /// The newest two: one in case the other is damaged.
        #[default]
        Newest,
        /// All of them.
        All,
    }
}

impl KeptCheckpoints {
    /// Whether nothing is asked for: such a setting isn't written, so that records from before there was one are alike.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

named! {
    "source",
    /// Whose examples an estimation takes the Hessian over, where it takes at most a batch.
    #[derive(Default)]
    pub enum CurvatureSource {
        /// The batch of the step that follows.
        #[default]
        Current,
        /// The batch of the step before, which is independent of the step that follows, as Lemma 2 of the paper assumes.
        Previous,
        /// Always the first batch of the first epoch, as in the public implementation.
        Fixed,
    }
}

impl CurvatureSource {
    /// Whether it is the default. The default isn't written, so that older records stay equal.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

named! {
    "choice",
    /// Whether K-FAC finds a number itself at each step, from its quadratic model.
    #[derive(Default)]
    pub enum KfacChoice {
        /// It does.
        #[default]
        Adaptive,
        /// It takes the one given: the learning rate of its schedule, or the momentum.
        Fixed,
    }
}

named! {
    "device",
    /// Where models are trained.
    #[derive(Default)]
    pub enum DeviceName {
        /// The CPU.
        #[default]
        Cpu,
        /// An NVIDIA GPU; needs the program's feature `cuda`.
        Cuda,
        /// Any GPU, through WebGPU; needs the program's feature `wgpu`.
        Wgpu,
    }
}
