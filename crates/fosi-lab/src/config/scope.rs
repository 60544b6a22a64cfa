//! Options that apply only to some tasks or optimizers, and options that contradict each other.

use super::{ConfigError, FamilyValues, KfacChoice, TaskName, TrainConfig, TrainOptions};
use crate::optimizers::{Family, OptimizerName};

/// The optimizers to which an option applies.
#[derive(Clone, Copy)]
enum For {
    /// FOSI around any base.
    Fosi,
    /// FOSI around one base.
    FosiOf(Family),
    /// Optimizers whose learning rate the run gives.
    GivenRate,
    /// These bases, plain or inside FOSI.
    Bases(&'static [Family]),
    /// One base, plain or inside FOSI.
    Base(Family),
    /// Every base, plain or inside FOSI.
    AnyBase,
    /// Optimizers that use the given momentum.
    Momentum,
    /// K-FAC with a given learning rate.
    KfacRate,
    /// None: L-BFGS determines its steps by a line search.
    LineSearch,
}

impl For {
    fn includes(self, optimizer: &OptimizerName, config: &TrainConfig) -> bool {
        let fixed = |choice| optimizer.family == Family::Kfac && choice == KfacChoice::Fixed;
        match self {
            Self::Fosi => optimizer.fosi,
            Self::FosiOf(base) => optimizer.fosi && optimizer.family == base,
            Self::GivenRate => config.gives_rate(*optimizer),
            Self::Bases(bases) => bases.contains(&optimizer.family),
            Self::Base(base) => optimizer.family == base,
            Self::AnyBase => optimizer.family.is_base(),
            Self::Momentum => {
                let given = matches!(optimizer.family, Family::HeavyBall | Family::Nesterov);
                given || fixed(config.kfac_momentum)
            }
            Self::KfacRate => fixed(config.kfac_rate),
            Self::LineSearch => false,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Fosi => "optimizers with FOSI (`fosi-…`)".to_owned(),
            Self::FosiOf(base) => format!("`fosi-{base}`"),
            Self::GivenRate => {
                "optimizers with a given learning rate, and `lbfgs` and `kfac` (without --kfac-rate fixed) find their own"
                    .to_owned()
            }
            Self::Bases(bases) => {
                let names: Vec<String> = bases.iter().map(|base| format!("`{base}`")).collect();
                let either = match bases.iter().any(|family| family.is_base()) {
                    true => ", plain or with FOSI",
                    false => "",
                };
                format!("{}{either}", names.join(" and "))
            }
            Self::Base(base) => format!("`{base}`, plain or with FOSI"),
            Self::AnyBase => "base optimizers, plain or with FOSI".to_owned(),
            Self::Momentum => {
                "`hb` and `nesterov`, plain or with FOSI, and `kfac` with --kfac-momentum fixed"
                    .to_owned()
            }
            Self::KfacRate => "`kfac` with --kfac-rate fixed".to_owned(),
            Self::LineSearch => {
                "optimizers with a learning rate, and `lbfgs` finds its steps by a line search"
                    .to_owned()
            }
        }
    }
}

impl TrainOptions {
    /// An error if the layer contradicts itself or contains an invalid path.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let (Some(interval), Some(overhead)) = (self.interval, self.overhead) {
            return Err(ConfigError::TwoSchedules { interval, overhead });
        }
        if let (Some(epochs), Some(steps)) = (self.epochs, self.steps) {
            return Err(ConfigError::TwoLengths { epochs, steps });
        }
        // A run's record is JSON, whose text must be Unicode.
        let paths = [
            ("data-dir", &self.data_dir),
            ("cache", &self.cache),
            ("out", &self.out),
        ];
        for (option, path) in paths {
            match path.as_ref().map(|path| (path, path.to_str())) {
                Some((path, None)) => {
                    let path = path.clone();
                    return Err(ConfigError::NotUtf8 { option, path });
                }
                Some((_, Some(text))) if text.contains('\0') => {
                    return Err(ConfigError::NulInPath { option });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An error if an option is given that does not apply to the task.
    pub(super) fn check_task(&self, task: TaskName) -> Result<(), ConfigError> {
        use TaskName::{Ac, Ae, Lm, Tl};
        let options: [(_, _, &[TaskName]); 6] = [
            ("skip-damaged", self.skip_damaged, &[Ae, Lm, Tl, Ac]),
            ("width", self.width.is_some(), &[Ae, Lm, Ac]),
            ("sequence", self.sequence.is_some(), &[Lm]),
            ("weights", self.weights.is_some(), &[Tl]),
            ("cache", self.cache.is_some(), &[Tl]),
            ("hvp-mode", self.hvp_mode.is_some(), &[Ac]),
        ];
        let other = options
            .into_iter()
            .find(|(_, given, allowed)| *given && !allowed.contains(&task));
        match other {
            Some((option, _, allowed)) => Err(ConfigError::OtherTask {
                option,
                task,
                allowed,
            }),
            None => Ok(()),
        }
    }

    /// An error if an option is given that applies to none of the run's optimizers.
    pub(super) fn check_optimizers(&self, config: &TrainConfig) -> Result<(), ConfigError> {
        let running = &config.optimizers;
        let runs = |which: For| running.iter().any(|o| which.includes(o, config));
        let mut bound = self.bound_options().into_iter();
        match bound.find(|(_, which)| !runs(*which)) {
            Some((given, which)) => Err(ConfigError::NoEffect {
                given,
                optimizers: which.describe(),
                running: running.iter().map(ToString::to_string).collect(),
            }),
            None => Ok(()),
        }
    }

    /// The given options that apply only to some optimizers, as flags without values, and those optimizers.
    fn bound_options(&self) -> Vec<(String, For)> {
        let given = self.bound_names().into_iter();
        let mut bound: Vec<(String, For)> = given
            .map(|(option, which)| (format!("--{option}"), which))
            .collect();
        let scale_limit = self.scale_limit.as_ref().or(self.clip.as_ref());
        bound.extend(per_base("scale-limit", scale_limit, For::FosiOf));
        bound.extend(per_base("lr", self.lr.as_ref(), |family| match family {
            Family::Kfac => For::KfacRate,
            Family::Lbfgs => For::LineSearch,
            other => For::Base(other),
        }));
        bound
    }

    /// The names of the given options that apply only to some optimizers, and those optimizers.
    fn bound_names(&self) -> Vec<(&'static str, For)> {
        const DECAY: For = For::Bases(&[Family::AdamW, Family::Muon, Family::Soap]);
        const KFAC: For = For::Bases(&[Family::Kfac]);
        const LBFGS: For = For::Bases(&[Family::Lbfgs]);
        let scale_limit = self.scale_limit.as_ref().or(self.clip.as_ref());
        let options = [
            ("algorithm", self.algorithm.is_some(), For::Fosi),
            ("k", self.k.is_some(), For::Fosi),
            ("l", self.l.is_some(), For::Fosi),
            ("m", self.m.is_some(), For::Fosi),
            (
                "lanczos-tolerance",
                self.lanczos_tolerance.is_some(),
                For::Fosi,
            ),
            ("averaging", self.averaging.is_some(), For::Fosi),
            ("alpha", self.alpha.is_some(), For::Fosi),
            ("newton-rate", self.newton_rate.is_some(), For::Fosi),
            ("curvature-floor", self.curvature_floor.is_some(), For::Fosi),
            ("curvature-batch", self.curvature_batch.is_some(), For::Fosi),
            ("curvature-from", self.curvature_from.is_some(), For::Fosi),
            ("refresh-delay", self.refresh_delay.is_some(), For::Fosi),
            ("interval", self.interval.is_some(), For::Fosi),
            ("overhead", self.overhead.is_some(), For::Fosi),
            ("warmup", self.warmup.is_some(), For::Fosi),
            ("hvp", self.hvp.is_some(), For::Fosi),
            ("hvp-mode", self.hvp_mode.is_some(), For::Fosi),
            ("scale-limit", scale_limit.is_some(), For::Fosi),
            ("lr-grid", self.lr_grid.is_some(), For::GivenRate),
            ("momentum", self.momentum.is_some(), For::Momentum),
            ("clip-gradient", self.clip_gradient.is_some(), For::AnyBase),
            ("weight-decay", self.weight_decay.is_some(), DECAY),
            ("kfac-rate", self.kfac_rate.is_some(), KFAC),
            ("kfac-momentum", self.kfac_momentum.is_some(), KFAC),
            ("damping", self.damping.is_some(), KFAC),
            ("history", self.history.is_some(), LBFGS),
        ];
        let given = options.into_iter().filter(|(_, given, _)| *given);
        given.map(|(option, _, which)| (option, which)).collect()
    }

    /// The names of the given options that apply only to FOSI.
    fn fosi_names(&self) -> Vec<&'static str> {
        let bound = self.bound_names().into_iter();
        let fosi = bound.filter(|(_, which)| matches!(which, For::Fosi));
        let mut names: Vec<&str> = fosi.map(|(option, _)| option).collect();
        if names.contains(&"scale-limit") {
            names.push("clip");
        }
        names
    }

    /// The given options by name.
    fn given(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut given = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(given)) => given,
            _ => serde_json::Map::new(),
        };
        given.retain(|_, value| !value.is_null());
        given
    }

    /// The names of the given options that do not apply only to FOSI.
    pub fn given_beside_fosi(&self) -> Vec<String> {
        let fosi = self.fosi_names();
        let names = self.given().into_iter().map(|(name, _)| name);
        names
            .filter(|name| !fosi.contains(&name.as_str()))
            .collect()
    }

    /// The names of all given options.
    pub fn given_names(&self) -> Vec<String> {
        self.given().into_iter().map(|(name, _)| name).collect()
    }

    /// The options without those that apply only to FOSI.
    #[must_use]
    pub fn without_fosi(&self) -> Self {
        let mut given = self.given();
        for name in self.fosi_names() {
            given.remove(name);
        }
        let others: Self = serde_json::from_value(given.into()).unwrap_or_default();
        Self {
            file: self.file.clone(),
            // The serialised form does not distinguish one number for all bases from one number per base.
            lr: self.lr.clone(),
            ..others
        }
    }
}

/// The options of one base each, such as `--lr hb=…`.
fn per_base(
    option: &'static str,
    values: Option<&FamilyValues>,
    which: fn(Family) -> For,
) -> Vec<(String, For)> {
    let Some(FamilyValues::Some(named)) = values else {
        return Vec::new();
    };
    let bound = |(base, _): &(Family, f64)| (format!("--{option} {base}=…"), which(*base));
    named.iter().map(bound).collect()
}
