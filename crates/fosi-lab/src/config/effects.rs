//! Options that have no effect with the optimizers that run.

use super::{BaseValues, ConfigError, TrainConfig, TrainOptions};
use crate::optimizers::{Base, OptimizerName};

/// The optimizers for which an option means something.
#[derive(Clone, Copy)]
enum For {
    /// FOSI around any base.
    Fosi,
    /// FOSI around one base.
    FosiOf(Base),
    /// Any optimizer without FOSI.
    Plain,
    /// These bases, plain or inside FOSI.
    Bases(&'static [Base]),
    /// One base, plain or inside FOSI.
    Base(Base),
}

impl For {
    fn includes(self, optimizer: &OptimizerName) -> bool {
        match self {
            Self::Fosi => optimizer.fosi,
            Self::FosiOf(base) => optimizer.fosi && optimizer.base == base,
            Self::Plain => !optimizer.fosi,
            Self::Bases(bases) => bases.contains(&optimizer.base),
            Self::Base(base) => optimizer.base == base,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Fosi => "optimizers with FOSI (`fosi-…`)".to_owned(),
            Self::FosiOf(base) => format!("`fosi-{base}`"),
            Self::Plain => "optimizers without FOSI".to_owned(),
            Self::Bases(bases) => {
                let names: Vec<String> = bases.iter().map(|base| format!("`{base}`")).collect();
                format!("{}, plain or with FOSI", names.join(" and "))
            }
            Self::Base(base) => format!("`{base}`, plain or with FOSI"),
        }
    }
}

impl TrainOptions {
    /// An error where an option is given that none of the run's optimizers has.
    pub(super) fn check_effects(&self, config: &TrainConfig) -> Result<(), ConfigError> {
        let runs = |which: For| config.optimizers.iter().any(|o| which.includes(o));
        match self
            .bound_options()
            .into_iter()
            .find(|(_, which)| !runs(*which))
        {
            Some((given, which)) => Err(ConfigError::NoEffect {
                given,
                optimizers: which.describe(),
                running: config.optimizers.iter().map(ToString::to_string).collect(),
            }),
            None => Ok(()),
        }
    }

    /// Whether this layer gives what an error says to have no effect.
    pub(super) fn gives(&self, given: &str) -> bool {
        self.bound_options().iter().any(|(own, _)| own == given)
    }

    /// The options given that only some optimizers have, as they would stand on the command line without their values,
    /// and those optimizers.
    fn bound_options(&self) -> Vec<(String, For)> {
        const MOMENTUM: For = For::Bases(&[Base::HeavyBall, Base::Nesterov]);
        const DECAY: For = For::Bases(&[Base::AdamW]);
        let options = [
            ("algorithm", self.algorithm.is_some(), For::Fosi),
            ("k", self.k.is_some(), For::Fosi),
            ("l", self.l.is_some(), For::Fosi),
            ("m", self.m.is_some(), For::Fosi),
            ("alpha", self.alpha.is_some(), For::Fosi),
            ("curvature-floor", self.curvature_floor.is_some(), For::Fosi),
            ("interval", self.interval.is_some(), For::Fosi),
            ("overhead", self.overhead.is_some(), For::Fosi),
            ("warmup", self.warmup.is_some(), For::Fosi),
            ("hvp", self.hvp.is_some(), For::Fosi),
            ("hvp-mode", self.hvp_mode.is_some(), For::Fosi),
            ("clip", self.clip.is_some(), For::Fosi),
            ("lr-grid", self.lr_grid.is_some(), For::Plain),
            ("momentum", self.momentum.is_some(), MOMENTUM),
            ("weight-decay", self.weight_decay.is_some(), DECAY),
        ];
        let given = options.into_iter().filter(|(_, given, _)| *given);
        let mut bound: Vec<(String, For)> = given
            .map(|(option, _, which)| (format!("--{option}"), which))
            .collect();
        bound.extend(per_base("clip", self.clip.as_ref(), For::FosiOf));
        bound.extend(per_base("lr", self.lr.as_ref(), For::Base));
        bound
    }
}

/// Each base that has a value of its own.
fn per_base(
    option: &'static str,
    values: Option<&BaseValues>,
    which: fn(Base) -> For,
) -> Vec<(String, For)> {
    let Some(BaseValues::Some(named)) = values else {
        return Vec::new();
    };
    let bound = |(base, _): &(Base, f64)| (format!("--{option} {base}=…"), which(*base));
    named.iter().map(bound).collect()
}
