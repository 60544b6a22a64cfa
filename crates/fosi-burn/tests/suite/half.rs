//! Models in half precision: curvature in f64, in which a product of large factors does not overflow.

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use fosi::FosiConfig;
use fosi::base::HeavyBall;
use fosi_burn::{FlatLayout, FosiOptimizer, like_module};

use crate::common::{device, every};

/// Four numbers; their product is part of the loss.
#[derive(Module, Debug)]
struct Factors {
    factors: Param<Tensor<1>>,
}

const LARGE: f64 = 30.0;

impl Factors {
    fn new(value: f64, dtype: FloatDType, device: &Device) -> Self {
        let values = TensorData::new(vec![value; 4], [4]);
        Self {
            factors: Param::from_tensor(Tensor::from_data(values, (device, dtype.into()))),
        }
    }

    /// w₁w₂w₃w₄: its Hessian is value²·(J − I) for equal factors, with eigenvalues 3·value² and −value² three times.
    fn product(&self) -> Tensor<1> {
        let part = |i: usize| self.factors.val().narrow(0, i, 1);
        part(0) * part(1) * part(2) * part(3)
    }

    /// ½‖w − 1‖².
    fn distance(&self) -> Tensor<1> {
        let target = Tensor::<1>::ones([4], &self.factors.device());
        (self.factors.val() - like_module(target, self))
            .square()
            .sum()
            .mul_scalar(0.5)
    }
}

#[test]
fn a_product_of_four_large_factors_does_not_overflow() {
    let device = device();
    for dtype in [FloatDType::F16, FloatDType::BF16, FloatDType::F32] {
        let network = Factors::new(LARGE, dtype, &device);
        let config = FosiConfig {
            largest: 1,
            smallest: 1,
            lanczos_steps: Some(4),
            ..every(0, 10)
        };
        let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.9), config).unwrap();
        let attempt = optimizer
            .refresh(&network, &|m: &Factors| m.product())
            .unwrap();
        attempt.result.unwrap();
        let found = &optimizer.fosi().spectrum().unwrap().eigenvalues;
        let square = LARGE * LARGE;
        for (found, expected) in found.iter().zip([3.0 * square, -square]) {
            let error = (found - expected).abs() / square;
            assert!(error < 1e-4, "{dtype:?}: {found} where {expected} belongs");
        }
    }
}

#[test]
fn training_in_half_precision_keeps_the_type() {
    let device = device();
    for dtype in [FloatDType::F16, FloatDType::BF16] {
        let mut network = Factors::new(4.0, dtype, &device);
        let layout = FlatLayout::of(&network).unwrap();
        let config = FosiConfig {
            largest: 1,
            newton_rate: 0.2.into(),
            ..every(2, 5)
        };
        let mut optimizer = FosiOptimizer::new(&network, HeavyBall::new(0.5), config).unwrap();
        let mut losses = Vec::new();
        for _ in 0..20 {
            let step = optimizer
                .step(0.1, &mut network, &|m: &Factors| m.distance())
                .unwrap();
            losses.push(step.loss);
        }
        assert_eq!(network.factors.val().dtype(), dtype.into());
        assert!(
            losses[19] < 0.01 * losses[0],
            "{dtype:?}: {} to {}",
            losses[0],
            losses[19]
        );
        let values: Vec<f32> = layout.parameters(&network).unwrap();
        assert!(values.iter().all(|x| (x - 1.0).abs() < 0.2), "{values:?}");
    }
}
