//! What the ranks of a job do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burn::optim::AdamConfig;
use fosi::base::{Adam, Base, HeavyBall};
use fosi::checkpoint::write_atomically;
use fosi::communicator::{Communicator, Numbers, shard};
use fosi::minimize::{Objective, Options, minimize};
use fosi::operator::{self, Reduced};
use fosi::{Distributed, Fosi, FosiConfig, Host, NewtonRate, Schedule, Space};
use fosi_burn::{BurnBase, ModuleSpace, Precision};

use crate::common::{device, every};
use crate::layout::{LAYOUTS, Layout};
use crate::regression;
use crate::softmax::{Fault, N, Run, Softmax, config, relative_difference};

/// Variables that name a scenario, and the folder that its ranks share.
pub const SCENARIO: &str = "FOSI_MPI_SCENARIO";
pub const FOLDER: &str = "FOSI_MPI_FOLDER";
/// The prefix of a result.
pub const MARK: &str = "RESULT ";

type Ranks = Arc<dyn Communicator>;

pub fn run(scenario: &str) {
    let waits = scenario == "wait";
    let patience = Duration::from_millis(if waits { 300 } else { 60_000 });
    if scenario == "single" {
        // Catches a panic, before the job has its hook.
        BurnBase::new(
            &regression::Plain::new(1, &device()),
            AdamConfig::new().init(),
        )
        .unwrap();
    }
    let job = fosi_mpi::start_with_patience(patience).unwrap();
    job.abort_on_panic();
    assert!(fosi_mpi::start().is_err(), "MPI starts once");
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let ranks = job.communicator();
    let (part, argument) = scenario.split_once('-').unwrap_or((scenario, ""));
    let layout = match argument {
        "sharded" => Layout::Sharded,
        _ => Layout::Replicated,
    };
    match part {
        "collectives" => collectives(&*ranks),
        "train" => train(&ranks),
        "module" => module(&ranks),
        "module_errors" => module_errors(&ranks),
        "dropout" => dropout(&ranks),
        "single" => single(&ranks),
        "sizes" => sizes(&ranks),
        "clock" => clock(&ranks),
        "errors" => errors(&ranks),
        "minimize" => minimise(&ranks),
        "wait" => wait(&*ranks),
        "panic" => panics(&ranks, &folder),
        "whole" => return whole(&ranks, layout, &folder),
        "killed" => killed(&ranks, layout, &folder),
        "resumed" => return resumed(&ranks, layout, &folder),
        "continued" => continued(&ranks, layout, &folder),
        "memory" => return memory(&ranks, argument.parse().unwrap()),
        "scaling" => return scaling(&ranks),
        other => panic!("no scenario {other}"),
    }
    say("done");
}

fn say(result: &str) {
    println!("\n{MARK}{result}");
}

/// A hash of the bytes.
fn digest(bytes: &[u8]) -> u32 {
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619);
    bytes.iter().fold(2_166_136_261, mix)
}

fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Asserts that all ranks have the same bytes.
fn same_on_all(ranks: &dyn Communicator, what: &str, bytes: &[u8]) {
    let mut all = vec![f64::from(digest(bytes)); ranks.size()];
    ranks.all_gather(Numbers::F64(&mut all));
    assert!(all.iter().all(|found| *found == all[0]), "{what}: {all:?}");
}

fn state_of<B: Base<Host<f64>>>(run: &Run<'_, B>) -> Vec<u8> {
    let (parameters, state, losses, refreshes) = run.state();
    let refreshes: Vec<f64> = refreshes.iter().map(|step| *step as f64).collect();
    [
        bytes_of(&parameters),
        state,
        bytes_of(&losses),
        bytes_of(&refreshes),
    ]
    .concat()
}

/// Compares with sums of whole numbers, which are exact in any order.
fn collectives(ranks: &dyn Communicator) {
    let (rank, size) = (ranks.rank(), ranks.size());
    let given = |rank: usize, i: usize| ((i * 7 + rank * 3) % 101) as f64;
    let sum = |i: usize| (0..size).map(|rank| given(rank, i)).sum::<f64>();
    // Also more than go in one piece, and no multiple of the ranks.
    for n in [0, 1, 3, 1000, 2_100_003] {
        let mine = || (0..n).map(|i| given(rank, i)).collect::<Vec<f64>>();
        let single = || mine().iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let own = shard(n, rank, size);
        let mut beside = [1.0, rank as f64];
        let beside_sum = [size as f64, (size * (size - 1) / 2) as f64];

        let mut x = mine();
        ranks.sum(Numbers::F64(&mut x), &mut beside);
        assert!(
            x.iter().enumerate().all(|(i, x)| *x == sum(i)),
            "sum of {n}"
        );
        assert_eq!(beside, beside_sum);
        let mut x = single();
        ranks.sum(Numbers::F32(&mut x), &mut []);
        assert!(x.iter().enumerate().all(|(i, x)| f64::from(*x) == sum(i)));

        let (mut x, mut beside) = (mine(), [1.0, rank as f64]);
        ranks.reduce_scatter(Numbers::F64(&mut x), &mut beside);
        assert!(own.clone().all(|i| x[i] == sum(i)), "reduce_scatter of {n}");
        assert_eq!(beside, beside_sum);
        let mut x = single();
        ranks.reduce_scatter(Numbers::F32(&mut x), &mut []);
        assert!(own.clone().all(|i| f64::from(x[i]) == sum(i)));

        let mut x = vec![-1.0; n];
        own.clone().for_each(|i| x[i] = given(rank, i));
        let owner = |i: usize| {
            (0..size)
                .find(|rank| shard(n, *rank, size).contains(&i))
                .unwrap()
        };
        ranks.all_gather(Numbers::F64(&mut x));
        let step = (n / 1000).max(1);
        for i in (0..n).step_by(step) {
            assert_eq!(x[i], given(owner(i), i), "all_gather of {n}");
        }
        let mut x = single();
        ranks.broadcast(Numbers::F32(&mut x));
        assert!(
            x.iter()
                .enumerate()
                .all(|(i, x)| f64::from(*x) == given(0, i))
        );
        let mut x = mine();
        ranks.broadcast(Numbers::F64(&mut x));
        assert!(x.iter().enumerate().all(|(i, x)| *x == given(0, i)));
    }
}

/// From equal state a refresh, its step and three more; then 200 steps with four refreshes.
fn compare<B: Base<Host<f64>>>(ranks: &Ranks, base: impl Fn() -> B, rate: f64) {
    let problem = Softmax::new();
    let one_step = || FosiConfig {
        schedule: Schedule::Every {
            warmup: 0,
            interval: 50,
        },
        ..config()
    };
    for layout in LAYOUTS {
        let group = || Some((Arc::clone(ranks), layout));
        let mut alone = Run::new(&problem, base(), rate, one_step(), None);
        let mut run = Run::new(&problem, base(), rate, one_step(), group());
        // The later steps show the state: momentum, second moments, spectrum.
        for steps in [1, 3] {
            alone.steps(steps);
            run.steps(steps);
            let off = relative_difference(&run.parameters, &alone.parameters);
            assert!(off < 1e-9, "{steps} steps, {layout:?}: {off}");
        }

        let mut alone = Run::new(&problem, base(), rate, config(), None);
        let mut run = Run::new(&problem, base(), rate, config(), group());
        alone.steps(200);
        run.steps(200);
        assert_eq!(run.refreshes, [5, 55, 105, 155]);
        let off = relative_difference(&run.losses, &alone.losses);
        assert!(off < 1e-4, "200 steps, {layout:?}: {off}");
        same_on_all(&**ranks, "the state", &state_of(&run));
        if ranks.size() == 1 {
            assert!(
                state_of(&run) == state_of(&alone),
                "{layout:?}: not bit-equal"
            );
        }
    }
}

fn train(ranks: &Ranks) {
    compare(ranks, HeavyBall::default, 0.05);
    compare(ranks, Adam::default, 0.02);
}

/// A diagonal quadratic of n variables, the same on every rank.
struct Quadratic {
    optimizer: Fosi<Host<f32>, Adam>,
    x: Vec<f32>,
    gradient: Vec<f32>,
}

impl Quadratic {
    fn new(n: usize, config: FosiConfig, ranks: Option<(&Ranks, Layout)>) -> Self {
        let mut x = vec![1.0; n];
        let optimizer = Fosi::new(Host::new(n), Adam::default(), config).unwrap();
        let optimizer = match ranks {
            Some((ranks, layout)) => layout.put(optimizer, Arc::clone(ranks), &mut x),
            None => optimizer,
        };
        Self {
            optimizer,
            x,
            gradient: vec![0.0; n],
        }
    }

    fn curvature(i: usize) -> f32 {
        1.0 + 50.0 / (i as f32 + 1.0)
    }

    /// Refreshes; returns the time without the products.
    fn refresh(&mut self) -> Duration {
        let products = AtomicUsize::new(0);
        let hessian = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
            let started = Instant::now();
            for (i, (out, v)) in out.iter_mut().zip(v).enumerate() {
                *out = v * Self::curvature(i);
            }
            products.fetch_add(started.elapsed().as_micros() as usize, Ordering::Relaxed);
        });
        let started = Instant::now();
        let space = self.optimizer.space().clone();
        let mut hessian = Reduced::new(&space, 1.0, Ok(hessian)).unwrap();
        self.optimizer.refresh(&mut hessian).unwrap();
        let products = Duration::from_micros(products.load(Ordering::Relaxed) as u64);
        started.elapsed().saturating_sub(products)
    }

    /// A step; returns the times of the reduce-scatter, the step and the all-gather.
    fn step(&mut self) -> [Duration; 3] {
        let space = self.optimizer.space().clone();
        for (i, (g, x)) in self.gradient.iter_mut().zip(&self.x).enumerate() {
            *g = x * Self::curvature(i);
        }
        let started = Instant::now();
        space.average(1.0, Ok(0.0), &mut self.gradient).unwrap();
        let reduced = started.elapsed();
        let (x, g) = (space.own_mut(&mut self.x), space.own(&self.gradient));
        self.optimizer.step(0.001, x, g).unwrap();
        let stepped = started.elapsed();
        space.gather(&mut self.x);
        [reduced, stepped - reduced, started.elapsed() - stepped]
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }
}

/// Fewer parameters than ranks, and many that P does not divide.
fn sizes(ranks: &Ranks) {
    let config = || FosiConfig {
        largest: 3,
        ..FosiConfig::quadratic()
    };
    for n in [3, 300_001] {
        let mut alone = Quadratic::new(n, config(), None);
        alone.refresh();
        alone.steps(10);
        for layout in LAYOUTS {
            let mut run = Quadratic::new(n, config(), Some((ranks, layout)));
            run.refresh();
            run.steps(10);
            let bytes: Vec<u8> = run.x.iter().flat_map(|x| x.to_le_bytes()).collect();
            same_on_all(&**ranks, "the parameters", &bytes);
            same_on_all(&**ranks, "the state", &run.optimizer.to_bytes().unwrap());
            let pairs = run.x.iter().zip(&alone.x);
            let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "{n}, {layout:?}: {off}");
        }
    }
}

/// A rank's loss is no number in the check at the start, in a gradient, and in a refresh.
fn module_errors(ranks: &Ranks) {
    for layout in LAYOUTS {
        for at in [0, 8, 5] {
            let group = Some((Arc::clone(ranks), layout));
            let mut run = regression::Run::new(Adam::default(), 0.01, every(5, 5), group);
            run.steps(at);
            let before = run.state().0;
            run.fault = ranks.rank() == 1;
            let started = Instant::now();
            let error = run.step().unwrap_err().to_string();
            assert!(started.elapsed() < Duration::from_secs(10));
            assert!(error.contains("2 entries"), "{error}");
            assert_eq!(
                error.contains("rank 1 failed"),
                ranks.rank() != 1,
                "{error}"
            );
            assert!(run.state().0 == before, "the parameters have changed");
            run.fault = false;
            run.steps(8);
            same_on_all(&**ranks, "the state", &run.state().1);
        }
    }
}

/// Rank 1 can compute its loss in f32 only: a panic of Burn that is caught, and must not end the job.
fn single(ranks: &Ranks) {
    let (precisions, (_, state)) = regression::train_in_single_precision(Arc::clone(ranks), true);
    assert_eq!(precisions, [Precision::F32; 2]);
    same_on_all(&**ranks, "the state", &state);
}

/// 200 steps of a Burn module with four refreshes.
fn module(ranks: &Ranks) {
    let (ball, adam) = (|| HeavyBall::new(0.9), Adam::default);
    compare_modules(ranks, |group| {
        regression::Run::new(ball(), 0.02, every(5, 50), group)
    });
    compare_modules(ranks, |group| {
        regression::Run::new(adam(), 0.01, every(5, 50), group)
    });
    compare_modules(ranks, |group| {
        regression::Run::on_device(ball(), 0.02, every(5, 50), group)
    });
    compare_modules(ranks, |group| {
        regression::Run::on_device(adam(), 0.01, every(5, 50), group)
    });
}

fn compare_modules<B: Base<S>, S: ModuleSpace>(
    ranks: &Ranks,
    run: impl Fn(regression::Ranks) -> regression::Run<B, S>,
) {
    let mut alone = run(None);
    alone.steps(200);
    let expected = alone.state();
    assert_eq!(expected.3, [5, 55, 105, 155]);
    for layout in LAYOUTS {
        let mut run = run(Some((Arc::clone(ranks), layout)));
        run.steps(200);
        let found = run.state();
        let off = regression::off(&found.2, &expected.2);
        assert!(off < 1e-4, "{layout:?}: {off}");
        assert_eq!(found.3, expected.3);
        assert!(
            ranks.size() > 1 || found == expected,
            "{layout:?}: not bit-equal"
        );
        let parameters: Vec<u8> = found.0.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        same_on_all(&**ranks, "the parameters", &parameters);
        same_on_all(&**ranks, "the state", &found.1);
    }
}

/// Each rank draws masks of its own, a refresh sees fixed ones, and the ranks stay equal.
fn dropout(ranks: &Ranks) {
    let ((parameters, state), refreshes, masked) =
        regression::train_with_dropout(Arc::clone(ranks));
    assert_eq!(refreshes, 2);
    let parameters: Vec<u8> = parameters
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    same_on_all(&**ranks, "the parameters", &parameters);
    same_on_all(&**ranks, "the state", &state);
    let mut all = vec![f64::from(digest(&bytes_of(&masked))); ranks.size()];
    ranks.all_gather(Numbers::F64(&mut all));
    assert_ne!(all[0], all[1], "the masks are equal");
}

/// Measured costs, an adaptive Newton rate and the mean over refreshes.
fn clock(ranks: &Ranks) {
    let problem = Softmax::new();
    for layout in LAYOUTS {
        let config = FosiConfig {
            schedule: Schedule::Overhead {
                warmup: 20,
                overhead: 3.0,
                product_cost: None,
            },
            newton_rate: NewtonRate::adaptive(0.01),
            ..config()
        };
        let group = Some((Arc::clone(ranks), layout));
        let mut run = Run::new(&problem, Adam::default(), 0.02, config, group);
        let mut intervals = Vec::new();
        while run.refreshes.len() < 3 && intervals.len() < 20_000 {
            // A rank of its own pace.
            std::thread::sleep(Duration::from_micros(100 * ranks.rank() as u64));
            run.step().unwrap();
            intervals.push(run.optimizer.interval().unwrap_or(0) as f64);
        }
        assert_eq!(run.refreshes.len(), 3, "{:?}", run.optimizer.timing());
        same_on_all(&**ranks, "T", &bytes_of(&intervals));
        same_on_all(&**ranks, "the state", &state_of(&run));
    }
}

fn errors(ranks: &Ranks) {
    let problem = Softmax::new();
    for layout in LAYOUTS {
        for (fault, step, reason) in [
            (Fault::Gradient, 8, "no gradient"),
            (Fault::Product, 5, "no product"),
            (Fault::Data, 5, "no data"),
        ] {
            let group = Some((Arc::clone(ranks), layout));
            let mut run = Run::new(&problem, Adam::default(), 0.02, config(), group);
            run.steps(step);
            let before = run.parameters.clone();
            run.fault = (ranks.rank() == 1).then_some(fault);
            let started = Instant::now();
            let error = run.step().unwrap_err().to_string();
            assert!(started.elapsed() < Duration::from_secs(10));
            assert!(error.contains(reason), "{error}");
            assert_eq!(
                error.contains("rank 1 failed"),
                ranks.rank() != 1,
                "{error}"
            );
            assert_eq!(run.parameters, before);
            run.fault = None;
            run.steps(10);
            same_on_all(&**ranks, "the state", &state_of(&run));
        }
    }
}

fn minimise(ranks: &Ranks) {
    let problem = Softmax::new();
    let objective = |space: Host<f64>| {
        let group = space.ranks();
        let share = Softmax::all(group.rank(), group.size());
        let problem = &problem;
        Objective::on_ranks(
            space,
            share.len() as f64,
            move |x: &[f64], g: &mut [f64]| Ok(problem.loss(&share, x, g)),
        )
    };
    let alone = minimize(objective(Host::new(N)), &[0.0; N], Options::default()).unwrap();
    for layout in LAYOUTS {
        let space = match layout {
            Layout::Replicated => Host::new(N).replicated(Arc::clone(ranks)),
            Layout::Sharded => Host::new(N).sharded(Arc::clone(ranks)),
        };
        let start = vec![0.0; space.range().len()];
        let found = minimize(objective(space.clone()), &start, Options::default()).unwrap();
        let mut whole = vec![0.0; N];
        space
            .own_mut(&mut whole)
            .copy_from_slice(&found.best.parameters);
        space.gather(&mut whole);
        same_on_all(&**ranks, "the minimum", &bytes_of(&whole));
        assert!((found.best.value / alone.best.value - 1.0).abs() < 1e-9);
    }
}

/// Counts the warnings about waiting.
struct Listener(Arc<AtomicUsize>);

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        for expected in ["waits for other ranks", "step=7", "sum", "rank=0"] {
            assert!(text.0.contains(expected), "{}", text.0);
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[derive(Default)]
struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

fn wait(ranks: &dyn Communicator) {
    let said = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::set_global_default(Listener(Arc::clone(&said))).unwrap();
    ranks.at(7);
    if ranks.rank() == 1 {
        std::thread::sleep(Duration::from_secs(2));
    }
    ranks.sum(Numbers::F64(&mut [1.0; 10]), &mut []);
    let said = said.load(Ordering::Relaxed);
    match ranks.rank() {
        0 => assert!((2..=6).contains(&said), "said {said} times"),
        _ => assert_eq!(said, 0),
    }
}

/// Takes steps until the job ends.
fn on_and_on(mut run: Run<'_, Adam>) {
    for _ in 0..1_000_000 {
        run.step().unwrap();
    }
    panic!("the job has not ended");
}

fn leave(folder: &Path) {
    std::fs::write(folder.join("left"), "").unwrap();
}

fn panics(ranks: &Ranks, folder: &Path) {
    let problem = Softmax::new();
    let mut run = fresh(&problem, ranks, Layout::Sharded);
    run.steps(20);
    if ranks.rank() == 1 {
        leave(folder);
        panic!("a rank panics");
    }
    on_and_on(run);
}

fn fresh<'a>(problem: &'a Softmax, ranks: &Ranks, layout: Layout) -> Run<'a, Adam> {
    let group = Some((Arc::clone(ranks), layout));
    Run::new(problem, Adam::default(), 0.02, config(), group)
}

/// The step of the checkpoint, and the last one.
const SAVED: usize = 60;
const LAST: usize = 120;

/// Saves state and parameters.
fn save(run: &Run<'_, Adam>, ranks: &Ranks, folder: &Path) {
    run.optimizer.save(folder.join("state")).unwrap();
    if ranks.rank() == 0 {
        write_atomically(&folder.join("parameters"), &bytes_of(&run.parameters)).unwrap();
    }
}

fn load<'a>(problem: &'a Softmax, ranks: &Ranks, layout: Layout, folder: &Path) -> Run<'a, Adam> {
    let mut run = fresh(problem, ranks, layout);
    run.optimizer.load(folder.join("state")).unwrap();
    run.parameters = numbers(&folder.join("parameters"));
    run
}

fn numbers(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks(8).map(number).collect()
}

/// Reports the state that a resumed run must reach.
fn say_end(run: &Run<'_, Adam>) {
    let state = run.optimizer.to_bytes().unwrap();
    let (state, parameters) = (digest(&state), digest(&bytes_of(&run.parameters)));
    say(&format!("{state} {parameters}"));
}

fn whole(ranks: &Ranks, layout: Layout, folder: &Path) {
    let problem = Softmax::new();
    let mut run = fresh(&problem, ranks, layout);
    run.steps(SAVED);
    save(&run, ranks, folder);
    run.steps(LAST - SAVED);
    if ranks.rank() == 0 {
        write_atomically(&folder.join("losses"), &bytes_of(&run.losses[SAVED..])).unwrap();
    }
    say_end(&run);
}

fn killed(ranks: &Ranks, layout: Layout, folder: &Path) {
    let problem = Softmax::new();
    let mut run = fresh(&problem, ranks, layout);
    run.steps(SAVED);
    save(&run, ranks, folder);
    run.steps(10);
    if ranks.rank() == 1 {
        leave(folder);
        let own = std::process::id().to_string();
        std::process::Command::new("kill")
            .args(["-9", &own])
            .status()
            .unwrap();
    }
    on_and_on(run);
}

fn resumed(ranks: &Ranks, layout: Layout, folder: &Path) {
    let problem = Softmax::new();
    let mut run = load(&problem, ranks, layout, folder);
    run.steps(LAST - SAVED);
    say_end(&run);
}

/// On another number of ranks, results are equal to rounding.
fn continued(ranks: &Ranks, layout: Layout, folder: &Path) {
    let problem = Softmax::new();
    let mut run = load(&problem, ranks, layout, folder);
    run.steps(LAST - SAVED);
    let expected = numbers(&folder.join("losses"));
    let off = relative_difference(&run.losses, &expected);
    assert!(off < 1e-6, "{layout:?}: {off}");
}

/// The defaults with all Lanczos steps.
fn full() -> FosiConfig {
    FosiConfig {
        lanczos_tolerance: None,
        ..FosiConfig::default()
    }
}

/// Few Lanczos steps, since their time grows with the square of their number.
fn few() -> FosiConfig {
    FosiConfig {
        lanczos_steps: Some(20),
        ..full()
    }
}

/// The formula of `docs/mpi.md` for Adam in f32 with the settings of [`few`].
pub fn bytes_per_parameter(ranks: usize) -> f64 {
    let pairs = 10;
    let products = few().products(4_000_000);
    // Parameters, gradient, and a refresh's v and product.
    let whole = 4;
    // Adam's state and the direction; Lanczos' vectors, the product and the one compared with it; the mean and the
    // last refresh's pairs.
    let sharded = 2 + 1 + products + 2 + 3 * pairs;
    4.0 * (whole as f64 + sharded as f64 / ranks as f64)
}

fn memory(ranks: &Ranks, millions: usize) {
    let mut run = Quadratic::new(millions * 1_000_000, few(), Some((ranks, Layout::Sharded)));
    for _ in 0..2 {
        run.refresh();
        run.step();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    say(&format!("{} {}", ranks.rank(), 1024.0 * kilobytes));
}

/// Times of a step and of a refresh without its products, beside those that `docs/mpi.md` computes from the rate at which
/// the ranks read memory, all at the same time.
fn scaling(ranks: &Ranks) {
    let n = 4_000_000;
    let mut run = Quadratic::new(n, full(), Some((ranks, Layout::Sharded)));
    let refreshes: Vec<Duration> = (0..3).map(|_| run.refresh()).collect();
    let steps: Vec<[Duration; 3]> = (0..20).map(|_| run.step()).collect();
    let [reduced, step, gathered] = [0, 1, 2].map(|i| median(steps.iter().map(|s| s[i])));
    let refresh = median(refreshes);
    let read = read_rate(ranks);
    let (pairs, products) = (10.0, full().products(n) as f64);
    let whole = 4.0 * n as f64;
    let own = whole / ranks.size() as f64;
    let network = if ranks.size() > 1 {
        reduced + gathered
    } else {
        0.0
    };
    let model =
        |own_passes: f64, whole_passes: f64| (own_passes * own + whole_passes * whole) / read;
    let step_model = model(3.0 * pairs + 10.0, 0.0);
    let refresh_model =
        model(products * products + 6.0 * pairs, 10.0 * products) + products * network;
    say(&format!(
        "rank {}: reads {:.1} GB/s; reduce-scatter {:.1} ms, all-gather {:.1} ms; step {:.1} ms, computed {:.1}; refresh \
         without products {:.0} ms, computed {:.0}",
        ranks.rank(),
        read / 1e9,
        1e3 * reduced,
        1e3 * gathered,
        1e3 * step,
        1e3 * step_model,
        1e3 * refresh,
        1e3 * refresh_model,
    ));
}

/// In seconds.
fn median(times: impl IntoIterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Bytes per second that each rank reads with one core, while all ranks do.
fn read_rate(ranks: &Ranks) -> f64 {
    let x: Vec<u32> = (0..40_000_000).collect();
    let passes = (0..9).map(|_| {
        ranks.sum(Numbers::F64(&mut []), &mut [1.0]);
        let started = Instant::now();
        std::hint::black_box(x.iter().fold(0, |all, x| all ^ x));
        started.elapsed()
    });
    4.0 * x.len() as f64 / median(passes)
}
