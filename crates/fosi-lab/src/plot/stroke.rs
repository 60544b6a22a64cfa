//! Splits lines into strokes that a backend can draw.

/// The strokes of a polyline: dashes with the first length of `pattern` and gaps with its second, or the whole line. It
/// is split at sharp turns, where the bitmap backend's mitre joints would extend far beyond the line.
pub(super) fn strokes(points: &[(i32, i32)], pattern: Option<[f64; 2]>) -> Vec<Vec<(i32, i32)>> {
    let dashes = match pattern {
        Some(pattern) => dashes(points, pattern),
        None => vec![points.to_vec()],
    };
    dashes.iter().flat_map(|dash| cut_at_turns(dash)).collect()
}

fn dashes(points: &[(i32, i32)], [on, off]: [f64; 2]) -> Vec<Vec<(i32, i32)>> {
    let mut dashes = Vec::new();
    let mut dash: Vec<(i32, i32)> = points.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |done: f64| {
            let share = done / length;
            let between = |a: f64, b: f64| (a + share * (b - a)).round() as i32;
            (between(from.0, to.0), between(from.1, to.1))
        };
        let mut done = 0.0;
        while left <= length - done {
            done += left;
            if drawing {
                dash.push(at(done));
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash.push(at(done));
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length - done;
        if drawing && length > 0.0 {
            dash.push(pair[1]);
        }
    }
    dashes.push(dash);
    dashes.retain(|dash| dash.len() > 1);
    dashes
}

/// The parts that turn by less than a right angle at each point.
fn cut_at_turns(points: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<(i32, i32)> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        piece.push(*point);
        let (Some(before), Some(after)) = (index.checked_sub(1), points.get(index + 1)) else {
            continue;
        };
        let before = points[before];
        let forward = i64::from(point.0 - before.0) * i64::from(after.0 - point.0)
            + i64::from(point.1 - before.1) * i64::from(after.1 - point.1);
        if forward < 0 {
            pieces.push(std::mem::replace(&mut piece, vec![*point]));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_on_around_corners() {
        let corner = [(0, 0), (5, 0), (5, 20)];
        let dashed = strokes(&corner, Some([7.0, 5.0]));
        let expected = [
            vec![(0, 0), (5, 0), (5, 2)],
            vec![(5, 7), (5, 14)],
            vec![(5, 19), (5, 20)],
        ];
        assert_eq!(dashed, expected);
    }

    #[test]
    fn lines_are_cut_where_they_turn_back() {
        let zigzag = [(0, 0), (1, 10), (2, 0), (12, 0)];
        let pieces = strokes(&zigzag, None);
        assert_eq!(
            pieces,
            [vec![(0, 0), (1, 10)], vec![(1, 10), (2, 0), (12, 0)]]
        );
        assert_eq!(strokes(&[(3, 3)], None), Vec::<Vec<_>>::new());
    }
}
