//! The paper's statements, checked case by case.

use super::Outcome;
use crate::optimizers::{Family, OptimizerName};

/// A statement of the paper, checked case by case.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What is claimed.
    pub statement: String,
    /// Number of cases.
    pub cases: usize,
    /// The cases in which it does not hold, with numbers.
    pub exceptions: Vec<String>,
}

impl Claim {
    /// Checks `holds` on every case; `describe` says what a failing one looks like.
    pub(super) fn check<T>(
        statement: impl Into<String>,
        cases: &[T],
        holds: impl Fn(&T) -> bool,
        describe: impl Fn(&T) -> String,
    ) -> Self {
        Self {
            statement: statement.into(),
            cases: cases.len(),
            exceptions: cases.iter().filter(|c| !holds(c)).map(describe).collect(),
        }
    }

    /// Whether it holds in every case.
    pub fn holds(&self) -> bool {
        self.exceptions.is_empty()
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.cases - self.exceptions.len();
        write!(f, "{}: {held} of {}", self.statement, self.cases)?;
        let (shown, more) = self.exceptions.split_at(self.exceptions.len().min(SHOWN));
        if !shown.is_empty() {
            write!(f, "\n    except {}", shown.join("; "))?;
        }
        if !more.is_empty() {
            write!(f, "; and {} more", more.len())?;
        }
        Ok(())
    }
}

/// Exceptions printed of one claim.
const SHOWN: usize = 8;

/// Claims one under the other.
pub(super) fn claims_text(claims: &[Claim]) -> String {
    let line = |claim: &Claim| format!("{} {claim}", if claim.holds() { "✓" } else { "✗" });
    claims.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Every exception: `claim,exception`.
pub(super) fn exceptions_csv(claims: &[Claim]) -> String {
    let mut text = "claim,exception\n".to_owned();
    for claim in claims {
        for exception in &claim.exceptions {
            text += &format!("\"{}\",\"{exception}\"\n", claim.statement);
        }
    }
    text
}

/// For each base: FOSI ends lower than it on every function, in every basis.
pub(super) fn better_than_bases<'a>(
    functions: impl Iterator<Item = (String, &'a [Outcome])> + Clone,
) -> Vec<Claim> {
    [Family::GradientDescent, Family::HeavyBall, Family::Adam]
        .map(|base| better_than_base(base, functions.clone()))
        .into()
}

fn better_than_base<'a>(
    base: Family,
    functions: impl Iterator<Item = (String, &'a [Outcome])>,
) -> Claim {
    let (plain, fosi) = (OptimizerName::plain(base), OptimizerName::fosi(base));
    let mut cases = Vec::new();
    for (name, outcomes) in functions {
        let find = |name: OptimizerName| outcomes.iter().find(|o| o.optimizer == name);
        let (Some(plain), Some(fosi)) = (find(plain), find(fosi)) else {
            continue;
        };
        let pairs = plain.last.iter().zip(&fosi.last);
        let ratios: Vec<f64> = pairs.map(|(plain, fosi)| fosi / plain).collect();
        let worse = ratios.iter().filter(|ratio| **ratio >= 1.0).count();
        let worst = ratios.iter().fold(0.0_f64, |m, r| m.max(*r));
        cases.push((name, worse, ratios.len(), worst));
    }
    cases.sort_by(|a, b| b.3.total_cmp(&a.3));
    Claim::check(
        format!("{fosi} ends lower than {plain}, in every basis"),
        &cases,
        |(_, worse, _, _)| *worse == 0,
        |(name, worse, of, worst)| match of {
            1 => format!("{name} ({worst:.2}×)"),
            _ => format!("{name} ({worse} of {of} bases, up to {worst:.2}×)"),
        },
    )
}
