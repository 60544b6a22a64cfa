use std::time::Instant;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor};
use fosi_burn::{Precision, Twin, backward, FlatLayout};
use fosi_lab::models::{autoencoder::AutoencoderConfig, char_lstm::CharLstmConfig};

fn median(mut f: impl FnMut(), n: usize) -> f64 {
    f();
    let mut v: Vec<f64> = (0..n).map(|_| { let t = Instant::now(); f(); t.elapsed().as_secs_f64() }).collect();
    v.sort_by(f64::total_cmp);
    v[n / 2]
}

fn measure<M: Module>(name: &str, model: &M, loss: impl Fn(&M) -> Tensor<1>) {
    let n = FlatLayout::of(model).unwrap().len();
    let forward = median(|| { loss(model).into_scalar::<f64>(); }, 3);
    let single = median(|| { backward(model, &loss).unwrap(); }, 5);
    let twin = Twin::new(model, Precision::F64).unwrap();
    let theta = twin.parameters().to_vec();
    let double = median(|| { twin.value_and_gradient(&theta, &loss).unwrap(); }, 3);
    println!("{name}: n {n} forward {forward:.3} f32 {single:.3} f64 {double:.3} ratio {:.2}", double / single);
}

fn main() {
    let d = Device::flex().autodiff();
    let what = std::env::args().nth(1).unwrap();
    match what.as_str() {
        "ae" => {
            let m = AutoencoderConfig::default().init(1, &d);
            let x = Tensor::<4>::random([256, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &d);
            measure("ae", &m, |m| m.loss(x.clone()));
        }
        "ac" => {
            let m = fosi_lab::models::mobilenet::MobileNetConfig::default().init(1, &d);
            let x = Tensor::<4>::random([16, 1, 96, 64], Distribution::Default, &d);
            let y = Tensor::<2>::zeros([16, 527], &d);
            measure("ac", &m, |m| m.multi_label_loss(x.clone(), y.clone()));
        }
        _ => {
            let m = CharLstmConfig::default().init(1, &d);
            let x = Tensor::<2, Int>::random([32, 128], Distribution::Uniform(0.0, 127.0), &d);
            for v in 0..2 {
                measure(&format!("lm {v}"), &m, |m| m.loss(v, x.clone(), x.clone()));
            }
        }
    }
}
