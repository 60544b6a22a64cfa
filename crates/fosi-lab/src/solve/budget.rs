//! The budget of a run.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The budget of a run: a number of evaluations or a time. `10000` and `60s` on the command line and in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub enum Budget {
    /// Gradients and Hessian-vector products.
    Cost(u64),
    /// Wall time.
    Time(Duration),
}

impl Budget {
    /// The used share of the budget for a run with this cost and start time. Only a limit on time reads the clock.
    pub fn share(self, cost: u64, begun: Instant) -> f64 {
        match self {
            Self::Cost(most) => cost as f64 / most as f64,
            Self::Time(most) => begun.elapsed().as_secs_f64() / most.as_secs_f64(),
        }
    }
}

impl From<u64> for Budget {
    fn from(cost: u64) -> Self {
        Self::Cost(cost)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(most) => write!(f, "{most}"),
            Self::Time(most) => write!(f, "{}s", most.as_secs_f64()),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let budget = match text.strip_suffix('s') {
            Some(seconds) => seconds
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|time| !time.is_zero())
                .map(Self::Time),
            None => text.parse().ok().filter(|cost| *cost > 0).map(Self::Cost),
        };
        budget.ok_or_else(|| {
            "give a number of gradients and products, at least 1, or seconds as in 60s".to_owned()
        })
    }
}

/// A budget in JSON: a number, or a text with the unit.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Cost(u64),
    Time(String),
}

impl From<Budget> for Written {
    fn from(budget: Budget) -> Self {
        match budget {
            Budget::Cost(most) => Self::Cost(most),
            Budget::Time(_) => Self::Time(budget.to_string()),
        }
    }
}

impl TryFrom<Written> for Budget {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Cost(most) => most.to_string().parse(),
            Written::Time(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_evaluations_or_seconds() {
        let parse = |text: &str| text.parse::<Budget>();
        assert_eq!(parse("10000"), Ok(Budget::Cost(10_000)));
        assert_eq!(parse("0.5s"), Ok(Budget::Time(Duration::from_millis(500))));
        for text in ["10000", "60s", "0.25s"] {
            let budget = parse(text).unwrap();
            assert_eq!(budget.to_string(), text);
            let json = serde_json::to_string(&budget).unwrap();
            assert_eq!(serde_json::from_str::<Budget>(&json).unwrap(), budget);
        }
        assert_eq!(serde_json::to_string(&Budget::Cost(7)).unwrap(), "7");
        for text in [
            "0", "-1", "0s", "-1s", "s", "NaNs", "infs", "1e99s", "1.5", "1m", "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
