//! Changing the parameters during a run: a layer is frozen, unfrozen, added or removed.

use std::borrow::{Borrow, BorrowMut};

use crate::base::Base;
use crate::error::Error;
use crate::space::Space;
use crate::timing::StepTimer;

use super::Fosi;

impl<S: Space, B: Base<S>> Fosi<S, B> {
    /// Continues with other parameters. `space` has the new dimension. `carry` maps a vector of the old space to the
    /// new one, entry by entry, with zeros for new entries. `base` is the base for the new parameters; a native base
    /// has no state of its own, so a copy of the old one suffices.
    ///
    /// The subspace's momentum returns to the base, and the base's state vectors are carried over. The spectrum belongs
    /// to the old parameters and is dropped: the step is the base's own until the next refresh, which is
    /// [due](Self::due) at once after the warm-up. Step count and settings stay. A base with state of its own must
    /// carry that over itself; the subspace's part of its momentum is lost.
    ///
    /// ```
    /// use fosi::{Fosi, FosiConfig, Host, base::HeavyBall};
    ///
    /// let base = HeavyBall::new(0.9);
    /// let mut optimizer = Fosi::new(Host::<f64>::new(3), base, FosiConfig::base_only())?;
    /// optimizer.step(0.1, &mut [0.0; 3][..], &[1.0, 2.0, 3.0])?;
    /// // The entry in the middle is frozen.
    /// optimizer.change_parameters(Host::new(2), base, |x| Ok(vec![x[0], x[2]]))?;
    /// let mut parameters = [0.0; 2];
    /// optimizer.step(0.1, &mut parameters[..], &[0.0, 0.0])?;
    /// // The momentum goes on.
    /// assert!((parameters[0] + 0.09).abs() < 1e-12 && (parameters[1] + 0.27).abs() < 1e-12);
    /// # Ok::<(), fosi::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Spoiled`]; `Error::InvalidSetting` where the base's settings are invalid or its number of state vectors
    /// differs; the errors of `carry`; and those of the new space's check of the carried vectors. The optimizer is then
    /// unchanged.
    pub fn change_parameters(
        &mut self,
        space: S,
        base: B,
        mut carry: impl FnMut(&S::Vector) -> Result<S::Owned, Error>,
    ) -> Result<(), Error> {
        self.refuse_spoiled()?;
        base.validate(&space.limits())?;
        if base.state_len() != self.state.len() {
            return Err(Error::InvalidSetting {
                setting: "the number of the base's state vectors",
                given: base.state_len().to_string(),
                allowed: "that of the previous base",
            });
        }
        let momentum = self.subspace_momentum();
        let mut state = Vec::with_capacity(self.state.len());
        for (i, vector) in self.state.iter().enumerate() {
            let vector = match &momentum {
                Some(momentum) if i == 0 => carry(momentum.borrow())?,
                _ => carry(vector.borrow())?,
            };
            space.check("the carried state vector", vector.borrow())?;
            state.push(vector);
        }
        let products = self.config.products(space.dim());
        let mut timer = StepTimer::new(&self.config.schedule, products);
        timer.set_clock(self.timer.clock());
        self.timer = timer;
        self.state = state;
        self.scratch = space.zeros();
        self.clipped = None;
        self.workspace = None;
        self.average = None;
        self.forget_comparison();
        if let Some(old) = self.subspace.take() {
            let pairs = old.spectrum.eigenvalues.len();
            tracing::info!(
                pairs,
                "the parameters have changed: the spectrum is dropped until the next refresh"
            );
        }
        self.progress.last_refresh = None;
        self.space = space;
        self.base = base;
        Ok(())
    }

    /// The total momentum m + Vc̄; `None` without a subspace or without momentum in the base's state.
    fn subspace_momentum(&self) -> Option<S::Owned> {
        let old = self.subspace.as_ref()?;
        let m = self.state.first()?;
        if self.base.momentum().decay == 0.0 {
            return None;
        }
        let mut joined = self.space.zeros();
        self.space.axpby(1.0, m.borrow(), 0.0, joined.borrow_mut());
        old.add_momentum(&self.space, joined.borrow_mut());
        Some(joined)
    }
}
