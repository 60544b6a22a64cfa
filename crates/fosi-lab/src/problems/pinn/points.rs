//! Points of a box, with one list of coordinates per input.

/// The ends of each input's interval.
type Domain = [(f64, f64)];

/// `count` evenly distributed points inside a box: the additive sequence of Roberts (2018), frac(½ + i·a) with aⱼ =
/// g^−(j+1), where g > 1 solves g^(d+1) = g + 1.
pub(super) fn inside(domain: &Domain, count: usize) -> Vec<Vec<f64>> {
    let exponent = 1.0 / (domain.len() as f64 + 1.0);
    // Each iteration reduces the error by a factor of at least 3.
    let g = (0..60).fold(1.5, |g: f64, _| (1.0 + g).powf(exponent));
    let axis = |((low, high), power): (&(f64, f64), i32)| {
        let share = |i: usize| (0.5 + i as f64 * g.powi(-power)).fract();
        (0..count).map(|i| low + (high - low) * share(i)).collect()
    };
    domain.iter().zip(1..).map(axis).collect()
}

/// All points of a grid with `count` points along each input, including the ends.
pub(super) fn grid(domain: &Domain, count: usize) -> Vec<Vec<f64>> {
    let total = count.pow(domain.len() as u32);
    let axis = |(&ends, power): (&(f64, f64), u32)| {
        let line = line(ends, count);
        let place = |i: usize| line[i / count.pow(power) % count];
        (0..total).map(place).collect()
    };
    domain.iter().zip(0..).map(axis).collect()
}

/// `count` equidistant points of an interval, including the ends.
pub(super) fn line((low, high): (f64, f64), count: usize) -> Vec<f64> {
    let step = (high - low) / (count - 1) as f64;
    (0..count).map(|i| low + i as f64 * step).collect()
}

/// The four sides of a rectangle, `count` points on each.
pub(super) fn sides(domain: [(f64, f64); 2], count: usize) -> Vec<Vec<f64>> {
    let [x, y] = domain;
    let (along_x, along_y) = (line(x, count), line(y, count));
    let end = |value: f64| vec![value; count];
    vec![
        [&along_x[..], &along_x, &end(x.0), &end(x.1)].concat(),
        [&end(y.0)[..], &end(y.1), &along_y, &along_y].concat(),
    ]
}

/// Points with the first input at one end, then at the other, over the second input.
pub(super) fn ends(domain: [(f64, f64); 2], count: usize) -> Vec<Vec<f64>> {
    let [(low, high), y] = domain;
    vec![
        [vec![low; count], vec![high; count]].concat(),
        line(y, count).repeat(2),
    ]
}

/// Points with the second input at its lower end, over the first input.
pub(super) fn initial(domain: [(f64, f64); 2], count: usize) -> Vec<Vec<f64>> {
    vec![line(domain[0], count), vec![domain[1].0; count]]
}
