//! Measures the Hessian at each place.

use fosi::density::DensityParams;
use fosi::spectrum::SpectrumParams;
use fosi::trace::TraceParams;

use super::error::SpectrumError;
use super::places::{Place, Places};
use crate::config::TrainConfig;
use crate::data::{Batches, draw};
use crate::interrupt::Interrupt;
use crate::optimizers::{Family, OptimizerName};
use crate::train::{MeasuredSpectrum, SpectrumPlan, StepError, Workload};

/// The quantities to measure, with their numbers of probes and steps.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The run's settings.
    pub config: TrainConfig,
    /// The seed of the model's start, of batches and of probes.
    pub seed: u64,
    /// k and ℓ.
    pub pairs: [usize; 2],
    /// The number of examples over which the Hessian is taken.
    pub examples: usize,
    /// The number of random vectors for the density.
    pub probes: usize,
    /// The number of Lanczos steps for each.
    pub density_steps: usize,
    /// The number of random vectors for the trace and the Frobenius norm.
    pub trace_probes: usize,
}

/// The Hessian's spectrum at a place.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The place.
    pub place: Place,
    /// The spectrum.
    pub spectrum: MeasuredSpectrum,
}

impl Survey {
    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// [`SpectrumError::Examples`].
    pub fn check_against(&self, examples: usize) -> Result<(), SpectrumError> {
        match (1..=examples).contains(&self.examples) {
            true => Ok(()),
            false => Err(SpectrumError::Examples {
                given: self.examples,
                most: examples,
            }),
        }
    }

    /// Measures at each place in turn and calls `on_measured` with the result.
    ///
    /// # Errors
    /// [`SpectrumError`]: a failed estimation, or weights of another model; [`StepError::Interrupted`].
    pub fn measure(
        &self,
        workload: &dyn Workload,
        places: Places,
        interrupt: &Interrupt,
        on_measured: &mut dyn FnMut(Measured),
    ) -> Result<(), SpectrumError> {
        let plan = self.plan(workload.data().train);
        // No training happens here; gradient descent has no state.
        let optimizer = OptimizerName::plain(Family::GradientDescent);
        let mut trainer = workload.trainer(optimizer, self.seed)?;
        let mut previous = Vec::new();
        for (place, weights) in places.places {
            if interrupt.requested() {
                return Err(StepError::Interrupted.into());
            }
            if let Some(weights) = weights {
                let set = trainer.set_weights(&weights);
                set.map_err(|source| SpectrumError::Parameters { place, source })?;
            }
            let spectrum = trainer.spectrum(&plan, &previous)?;
            let spectrum = spectrum.ok_or(SpectrumError::Untold)?;
            previous.clone_from(&spectrum.directions);
            on_measured(Measured { place, spectrum });
        }
        Ok(())
    }

    fn plan(&self, examples: usize) -> SpectrumPlan {
        let [largest, smallest] = self.pairs;
        let order = Batches::new(examples, self.config.batch, self.seed).order(1);
        let mut batches = order.chunks(self.config.batch);
        let first = batches.next().unwrap_or_default().to_vec();
        // Data with a single batch has no second one.
        let second = batches
            .next()
            .map_or_else(|| first.clone(), <[u32]>::to_vec);
        SpectrumPlan {
            examples: draw(examples, self.examples),
            slice: self.config.batch,
            batches: [first, second],
            pairs: SpectrumParams {
                largest,
                smallest,
                lanczos_steps: self.config.m,
                seed: self.seed,
                ..SpectrumParams::default()
            },
            density: DensityParams {
                probes: self.probes,
                lanczos_steps: self.density_steps,
                seed: self.seed,
                ..DensityParams::default()
            },
            trace: TraceParams {
                probes: self.trace_probes,
                seed: self.seed,
                ..TraceParams::default()
            },
        }
    }
}
