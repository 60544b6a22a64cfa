//! The flat view of a module: its contents, their order, and lossless conversion in both directions.

use crate::common::{
    Batch, HIDDEN, INPUTS, Network, OUTPUTS, TRAINABLE, Tied, bits, device, entries, matrix,
};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};
use fosi_burn::{BridgeError, FlatLayout, backward, value_and_gradient};

#[test]
fn holds_the_trainable_parameters_in_visiting_order() {
    let layout = FlatLayout::of(&Network::new(&device())).unwrap();
    let paths: Vec<&str> = layout
        .slots()
        .iter()
        .map(|slot| slot.path.as_str())
        .collect();
    let expected = [
        "input.weight",
        "input.bias",
        "norm.gamma",
        "norm.beta",
        "output.weight",
        "output.bias",
        "unreached.weight",
        "unreached.bias",
    ];
    assert_eq!(paths, expected);
    assert_eq!(layout.len(), TRAINABLE);
    assert_eq!(layout.slots()[4].shape, [HIDDEN, OUTPUTS]);
    assert_eq!(layout.slots()[4].offset, INPUTS * HIDDEN + 3 * HIDDEN);
}

#[test]
fn values_stand_in_row_major_order() {
    let network = Network::new(&device());
    let layout = FlatLayout::of(&network).unwrap();
    let flat: Vec<f64> = layout.parameters(&network).unwrap();
    let expected: Vec<f64> = entries(INPUTS * HIDDEN, 1)
        .iter()
        .map(|&x| f64::from(x as f32))
        .collect();
    assert_eq!(flat[..INPUTS * HIDDEN], expected);
}

#[test]
fn round_trip_keeps_everything_else() {
    let device = device();
    let network = Network::new(&device);
    let layout = FlatLayout::of(&network).unwrap();
    let values: Vec<f32> = entries(TRAINABLE, 77).iter().map(|&x| x as f32).collect();
    let moved = layout.set_parameters(&network, &values[..]).unwrap();

    assert_eq!(layout.parameters::<f32>(&moved).unwrap(), values);
    assert_eq!(FlatLayout::of(&moved).unwrap(), layout);
    assert_eq!(moved.running_statistics(), network.running_statistics());
    assert!(!moved.frozen.weight.is_require_grad());
    let frozen = |network: &Network| network.frozen.weight.val().into_data();
    assert_eq!(frozen(&moved), frozen(&network));
    assert_eq!(moved.input.weight.val().device(), device);
    assert_eq!(moved.input.weight.val().dtype(), DType::F32);
    // A frozen module that is unfrozen later must train again, so the configured state must be preserved, too.
    assert!(moved.valid().train().input.weight.is_require_grad());
    let values: Vec<f32> = layout.parameters(&network).unwrap();
    let back = layout.set_parameters(&moved, &values[..]).unwrap();
    assert_eq!(bits(&back), bits(&network));
}

#[test]
fn a_record_keeps_order_and_ids() {
    let network = Network::new(&device());
    let layout = FlatLayout::of(&network).unwrap();
    let bytes = network.clone().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    let loaded = Network::new(&device()).load_record(record);
    assert_eq!(FlatLayout::of(&loaded).unwrap(), layout);
    assert_eq!(bits(&loaded), bits(&network));
}

#[test]
fn gradient_is_burns_own_with_zeros_where_nothing_is_reached() {
    let device = device();
    let (network, batch) = (Network::new(&device), Batch::new(16, &device));
    let layout = FlatLayout::of(&network).unwrap();
    let (value, gradients) = backward(&network, |n: &Network| n.loss(&batch)).unwrap();
    let weight = gradients.get::<2>(network.output.weight.id).unwrap();
    let flat: Vec<f32> = layout.gradient(&network, gradients).unwrap();

    assert_eq!(value, f64::from(network.loss(&batch).into_scalar::<f32>()));
    let slot = &layout.slots()[4];
    assert_eq!(
        flat[slot.range()],
        weight.into_data().try_to_vec::<f32>().unwrap()
    );
    assert!(flat[slot.range()].iter().all(|&g| g != 0.0));
    let unreached = layout.slots()[6].offset;
    assert!(flat[unreached..].iter().all(|&g| g == 0.0));
    assert_eq!(flat.len(), TRAINABLE);
}

#[test]
fn a_training_pass_moves_the_running_statistics() {
    let device = device();
    let (network, batch) = (Network::new(&device), Batch::new(16, &device));
    let layout = FlatLayout::of(&network).unwrap();
    let before = network.running_statistics();
    value_and_gradient(&layout, &network, |n: &Network| n.loss(&batch)).unwrap();
    assert_ne!(network.running_statistics(), before);
}

#[test]
fn gradients_go_both_ways() {
    let network = Network::new(&device());
    let layout = FlatLayout::of(&network).unwrap();
    let flat: Vec<f32> = entries(TRAINABLE, 5).iter().map(|&x| x as f32).collect();
    let gradients = layout.to_gradients(&network, &flat[..]).unwrap();
    assert_eq!(gradients.len(), layout.slots().len());
    assert_eq!(layout.gradient::<f32>(&network, gradients).unwrap(), flat);
}

#[test]
fn tied_weights_take_one_slot_and_stay_tied() {
    let device = device();
    let (tied, x) = (Tied::new(&device), matrix(8, 4, 22, &device));
    let layout = FlatLayout::of(&tied).unwrap();
    assert_eq!(layout.len(), 16 + 16 + 4);
    assert!(layout.slots()[0].tied && !layout.slots()[1].tied);

    let theta: Vec<f32> = entries(layout.len(), 23)
        .iter()
        .map(|&x| x as f32)
        .collect();
    let tied = layout.set_parameters(&tied, &theta[..]).unwrap();
    assert_eq!(
        tied.decoder.val().into_data(),
        tied.encoder.val().into_data()
    );
    layout.check(&tied).unwrap();

    // Both uses of the weight must contribute: compare with central differences of the loss.
    let loss = |t: &Tied| t.loss(&x);
    let (_, gradient) = value_and_gradient(&layout, &tied, loss).unwrap();
    for i in [0, 7, 15] {
        let shifted = |h: f32| {
            let mut theta = theta.clone();
            theta[i] += h;
            let moved = layout.set_parameters(&tied, &theta[..]).unwrap();
            moved.loss(&x).into_scalar::<f64>()
        };
        let difference = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        let error = (difference - f64::from(gradient[i])).abs();
        assert!(
            error <= 2e-3 * (1.0 + difference.abs()),
            "{i}: {difference} {}",
            gradient[i]
        );
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let device = device();
    let network = Network::new(&device);
    let layout = FlatLayout::of(&network).unwrap();
    let short = [0.0f32; TRAINABLE - 1];

    let error = layout.set_parameters(&network, &short[..]).unwrap_err();
    assert!(matches!(
        error,
        BridgeError::LengthMismatch {
            expected: TRAINABLE,
            found: 87,
            ..
        }
    ));
    assert!(matches!(
        layout.to_gradients(&network, &short[..]),
        Err(BridgeError::LengthMismatch { .. })
    ));

    let mut frozen = network.clone();
    frozen.output = frozen.output.freeze();
    let error = layout.parameters::<f32>(&frozen).unwrap_err();
    // At the layout's `output.weight`, the module's visit reaches the next trained parameter.
    assert!(error.to_string().contains("`unreached.weight`"), "{error}");
    assert!(
        layout
            .set_parameters(&frozen, &[0.0f32; TRAINABLE][..])
            .is_err()
    );
    assert!(
        layout
            .gradient::<f32>(&frozen, GradientsParams::new())
            .is_err()
    );
    // A module with other ids still fits.
    layout.check(&Network::new(&device)).unwrap();

    assert!(matches!(
        FlatLayout::of(&network.freeze()),
        Err(BridgeError::NothingToTrain)
    ));
    let plain = Network::new(&Device::flex());
    assert!(matches!(
        FlatLayout::of(&plain),
        Err(BridgeError::NothingToTrain)
    ));
}

#[test]
fn refuses_a_gradient_of_another_shape() {
    let device = device();
    let network = Network::new(&device);
    let layout = FlatLayout::of(&network).unwrap();
    let mut gradients = GradientsParams::new();
    let wrong = Tensor::<2>::zeros([HIDDEN, INPUTS], &Device::flex());
    gradients.register(network.input.weight.id, wrong);
    let error = layout.gradient::<f32>(&network, gradients).unwrap_err();
    assert!(matches!(error, BridgeError::GradientShape { .. }));
}
