//! The names of the settings' choices.

use strum::EnumIter;

use crate::data::DataName;
use crate::names::named;

named! {
    "task",
    /// The task. The variants are in the order of reports.
    #[derive(PartialOrd, Ord, EnumIter)]
    pub enum TaskName {
        /// Audio classification with a MobileNet.
        Ac,
        /// A character-level language model.
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
    /// The data sets for the task, with the default first.
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
    /// FOSI's algorithm.
    #[derive(Default)]
    pub enum Algorithm {
        /// The paper's algorithm with the safeguards of [`fosi::FosiConfig::safeguards`].
        #[default]
        Guarded,
        /// The paper's Algorithms 1 and 2. The run's notes count the steps at which a safeguard would have acted.
        Paper,
    }
}

named! {
    "newton-rate",
    /// How α changes over a run; see [`fosi::NewtonRate`].
    pub enum NewtonRateRule {
        /// It follows the learning rate's schedule.
        Following,
        /// It is constant, as in the paper.
        Constant,
        /// It follows the schedule and, along directions in which the gradient is signal, grows up to the base
        /// optimizer's rate.
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
        /// It is constant.
        #[default]
        Constant,
        /// It decreases to zero along half a cosine.
        Cosine,
        /// It decreases to zero linearly.
        Linear,
    }
}

named! {
    "precision",
    /// How Hessian-vector products are computed.
    #[derive(Default)]
    pub enum HvpPrecision {
        /// Difference quotients of gradients in f64, accurate to about six digits.
        #[default]
        F64,
        /// Difference quotients in f32, for devices without f64; unreliable with ReLU.
        F32,
    }
}

named! {
    "mode",
    /// The statistics of batch norm in the Hessian.
    #[derive(Default)]
    pub enum HvpMode {
        /// Batch statistics, as in training and in the paper.
        #[default]
        Train,
        /// Running statistics.
        Eval,
    }
}

named! {
    "choice",
    /// The checkpoints of a run that are kept.
    #[derive(Default)]
    pub enum KeptCheckpoints {
        /// The newest two, in case one is damaged.
        #[default]
        Newest,
        /// All checkpoints.
        All,
    }
}

named! {
    "source",
    /// The batch over which an estimation takes the Hessian, if it uses at most one batch.
    #[derive(Default)]
    pub enum CurvatureSource {
        /// The batch of the following step.
        #[default]
        Current,
        /// The batch of the preceding step, which is independent of the following step, as Lemma 2 of the paper
        /// assumes.
        Previous,
        /// Always the first batch of the first epoch, as in the paper's public implementation.
        Fixed,
    }
}

named! {
    "choice",
    /// Whether K-FAC determines a number from its quadratic model at each step.
    #[derive(Default)]
    pub enum KfacChoice {
        /// K-FAC determines the number.
        #[default]
        Adaptive,
        /// K-FAC uses the given learning rate and its schedule, or the given momentum.
        Fixed,
    }
}

named! {
    "device",
    /// The device for training.
    #[derive(Default)]
    pub enum DeviceName {
        /// The CPU.
        #[default]
        Cpu,
        /// An NVIDIA GPU; requires the program's feature `cuda`.
        Cuda,
        /// Any GPU, through WebGPU; requires the program's feature `wgpu`.
        Wgpu,
    }
}
