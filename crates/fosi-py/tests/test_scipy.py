"""`fosi.minimize` as a method of `scipy.optimize.minimize`."""

import pickle

import fosi
import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import OptimizeWarning, minimize, rosen, rosen_der, rosen_hess, rosen_hess_prod
from scipy.sparse import csr_array, csr_matrix, diags_array
from scipy.sparse.linalg import aslinearoperator

from functions import quadratic

START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


def beale(x):
    """Beale's function, of minimum 0 at (3, ½)."""
    residuals = [c - x[0] * (1 - x[1] ** i) for c, i in ((1.5, 1), (2.25, 2), (2.625, 3))]
    return sum(r**2 for r in residuals)


def beale_der(x):
    residuals = [c - x[0] * (1 - x[1] ** i) for c, i in ((1.5, 1), (2.25, 2), (2.625, 3))]
    first = sum(-2 * r * (1 - x[1] ** i) for r, i in zip(residuals, (1, 2, 3)))
    second = sum(2 * r * x[0] * i * x[1] ** (i - 1) for r, i in zip(residuals, (1, 2, 3)))
    return np.array([first, second])


def himmelblau(x):
    """Himmelblau's function, of minimum 0 at (3, 2) and three other points."""
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def himmelblau_der(x):
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])


class MaximumEntropy:
    """The problem of scipy's own tests (Berger, Della Pietra, Della Pietra 1996), and the solution they give."""

    F = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0], [1, 0, 0]], dtype=float)
    K = np.array([1.0, 0.3, 0.5])
    SOLUTION = np.array([0.0, -0.524869316, 0.487525860])

    def fun(self, x):
        return np.log(np.exp(self.F @ x).sum()) - self.K @ x

    def grad(self, x):
        weights = np.exp(self.F @ x)
        return self.F.T @ (weights / weights.sum()) - self.K

    def hess(self, x):
        p = np.exp(self.F @ x)
        p /= p.sum()
        return self.F.T @ np.diag(p) @ self.F - np.outer(self.F.T @ p, self.F.T @ p)


def check_rosenbrock(result):
    assert result.success and result.status == 0, result
    assert np.allclose(result.x, 1.0, atol=1e-6)
    assert result.fun == rosen(result.x)
    assert np.array_equal(result.jac, rosen_der(result.x))
    assert np.linalg.norm(result.jac) <= 1e-6


def test_rosenbrock_in_both_of_scipys_forms():
    separate = minimize(rosen, START, jac=rosen_der, method=fosi.minimize)
    joint = minimize(lambda x: (rosen(x), rosen_der(x)), START, jac=True, method=fosi.minimize)
    for result in (separate, joint):
        check_rosenbrock(result)
    assert np.array_equal(separate.x, joint.x)


@pytest.mark.parametrize(
    "form", [np.asarray, np.asmatrix, np.ndarray.tolist, csr_array, csr_matrix, aslinearoperator, "hessp"]
)
def test_rosenbrock_with_its_hessian(form):
    given = {"hessp": rosen_hess_prod} if form == "hessp" else {"hess": lambda x: form(rosen_hess(x))}
    options = {"first_estimation": 5, "check_minimum": True}
    result = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options=options, **given)
    check_rosenbrock(result)
    assert result.nhev >= 1 and not result.failed_estimations
    # The last one is that at the minimum.
    exact, last = np.linalg.eigvalsh(rosen_hess(result.x)), result.estimations[-1]
    assert np.allclose([last.minimum, last.maximum], [exact[0], exact[-1]], rtol=1e-9)


@pytest.mark.parametrize(
    "fun, jac, start, minimum",
    [
        (beale, beale_der, [1.0, 1.0], [3.0, 0.5]),
        (himmelblau, himmelblau_der, [2.5, 2.5], [3.0, 2.0]),
        (rosen, rosen_der, np.linspace(-1, 2, 40), np.ones(40)),
    ],
)
def test_functions_with_a_known_minimum(fun, jac, start, minimum):
    result = minimize(fun, start, jac=jac, method=fosi.minimize, options={"gtol": 1e-8})
    assert result.success
    assert np.allclose(result.x, minimum, atol=1e-6)


def test_the_problem_of_scipys_tests():
    problem = MaximumEntropy()
    for hess in (None, problem.hess):
        result = minimize(
            problem.fun, np.zeros(3), jac=problem.grad, hess=hess, method=fosi.minimize, options={"lanczos_steps": 3}
        )
        assert result.success
        assert abs(result.fun - problem.fun(problem.SOLUTION)) < 1e-9
        # The function doesn't depend on the first variable.
        assert np.allclose(result.x[1:], problem.SOLUTION[1:], atol=1e-6)


def test_args_reach_every_function():
    def fun(x, scale, shift):
        return scale * np.sum((x - shift) ** 2)

    def jac(x, scale, shift):
        return 2 * scale * (x - shift)

    def hessp(x, p, scale, shift):
        return 2 * scale * p

    options = {"first_estimation": 0}
    result = minimize(fun, np.zeros(3), (5.0, 2.0), fosi.minimize, jac, hessp=hessp, options=options)
    assert np.allclose(result.x, 2.0)
    assert result.nhev > 0
    # One argument without a tuple, as scipy allows.
    result = minimize(lambda x, a: ((x - a) @ (x - a), 2 * (x - a)), [0.0], 3.0, fosi.minimize, True)
    assert np.allclose(result.x, 3.0)


def test_evaluations_are_counted():
    calls = {"fun": 0, "jac": 0, "hessp": 0}

    def fun(x):
        calls["fun"] += 1
        return rosen(x)

    def jac(x):
        calls["jac"] += 1
        return rosen_der(x)

    def hessp(x, p):
        calls["hessp"] += 1
        return rosen_hess_prod(x, p)

    result = minimize(fun, START, jac=jac, hessp=hessp, method=fosi.minimize, options={"first_estimation": 5})
    assert calls["hessp"] > 0
    assert (result.nfev, result.njev, result.nhev) == (calls["fun"], calls["jac"], calls["hessp"])


def test_a_hessian_is_computed_once_for_each_estimation():
    points = []

    def hess(x):
        points.append(x.copy())
        return rosen_hess(x)

    options = {"first_estimation": 5}
    result = minimize(rosen, START, jac=rosen_der, hess=hess, method=fosi.minimize, options=options)
    assert result.nhev == len(points) == len(result.estimations)


def test_joint_functions_are_not_called_through_scipys_cache():
    points = []

    def fun(x):
        points.append(x)
        return rosen(x), rosen_der(x)

    result = minimize(fun, START, jac=True, method=fosi.minimize)
    assert result.nfev == len(points)
    # Kept arrays are the caller's: no later call has changed them.
    assert len({point.tobytes() for point in points}) > 10
    assert rosen(points[0]) == rosen(START)


def test_a_callback_sees_every_step_in_both_forms():
    old, new = [], []
    minimize(rosen, START, jac=rosen_der, method=fosi.minimize, callback=lambda xk: old.append(xk))
    result = minimize(
        rosen,
        START,
        jac=rosen_der,
        method=fosi.minimize,
        callback=lambda intermediate_result: new.append(intermediate_result),
    )
    # The last step may be reported by the result alone.
    assert result.nit - 1 <= len(old) == len(new) <= result.nit
    for x, state in zip(old, new):
        assert isinstance(state, optimize.OptimizeResult)
        assert np.array_equal(x, state.x)
        assert state.fun == rosen(x)
    values = [state.fun for state in new]
    assert values[-1] < 1e-3 * values[0]


@pytest.mark.parametrize("form", ["xk", "intermediate_result"])
def test_a_callback_ends_the_run(form):
    seen = []

    def old(xk):
        seen.append(xk)
        if len(seen) == 3:
            raise StopIteration

    def new(intermediate_result):
        old(intermediate_result.x)

    callback = old if form == "xk" else new
    result = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, callback=callback)
    assert (result.nit, result.status, result.success) == (3, 99, False)
    assert "StopIteration" in result.message
    assert np.array_equal(result.x, seen[-1])
    assert np.array_equal(result.jac, rosen_der(result.x))


def test_limits_end_the_run():
    def run(**options):
        return minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options=options)

    assert (run(maxiter=4).nit, run(maxiter=4).status) == (4, 1)
    assert run(maxiter=0).nit == 0
    limited = run(maxfun=10)
    assert limited.status == 1 and 10 <= limited.cost <= 12
    assert run(maxtime=0.0).status == 1
    assert np.linalg.norm(run(gtol=1.0).jac) <= 1.0 < np.linalg.norm(run(maxiter=1).jac)
    first = np.linalg.norm(rosen_der(START))
    assert np.linalg.norm(run(gtol_rel=1e-2).jac) <= 1e-2 * first
    settled = run(ftol=0.5)
    assert settled.status == 0 and settled.nit < run().nit


def test_limits_are_given_as_scipys_users_give_them():
    def run(**options):
        return minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options=options)

    assert run(maxiter=4.0).nit == run(maxiter=np.int32(4)).nit == 4
    assert run(maxiter=np.inf, maxfun=np.inf, maxtime=np.inf).success
    assert run(maxfun=None, maxiter=None, maxtime=None).success


def test_tol_is_gtol():
    by_tol = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, tol=1e-2)
    by_gtol = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options={"gtol": 1e-2})
    assert np.array_equal(by_tol.x, by_gtol.x)
    both = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, tol=1e-2, options={"gtol": 1e-6})
    assert np.linalg.norm(both.jac) <= 1e-6


def test_options_of_the_spectrum():
    evaluate, diagonal = quadratic(400)

    def run(**options):
        return minimize(evaluate, np.ones(400), jac=True, method=fosi.minimize, options={"gtol": 1e-8, **options})

    plain = run(estimate=False)
    assert plain.estimations == [] and plain.spectrum is None
    result = run(first_estimation=10, return_eigenvectors=True)
    assert result.estimations[0].cost >= 10
    assert result.cost < plain.cost
    largest = np.sort(diagonal)[::-1]
    count = len(result.spectrum.eigenvalues)
    assert np.allclose(result.spectrum.eigenvalues[:5], largest[:5], rtol=1e-6)
    vectors = result.spectrum.eigenvectors
    assert vectors.shape == (400, count)
    assert np.allclose(vectors.T @ vectors, np.eye(count), atol=1e-10)
    residuals = np.linalg.norm(diagonal[:, None] * vectors - vectors * result.spectrum.eigenvalues, axis=0)
    # Differences of gradients have an error of their own.
    assert np.all(residuals <= result.spectrum.residuals + 1e-4 * largest[0])
    assert len(run(first_estimation=10, eigenpairs=3).spectrum.eigenvalues) == 3
    assert len(run(first_estimation=10, max_eigenpairs=2).spectrum.eigenvalues) == 2
    # Differences that aren't symmetric are made again.
    assert 20 <= run(first_estimation=10, lanczos_steps=20).estimations[0].products <= 25
    assert run(first_estimation=10).spectrum.eigenvectors is None
    seeds = [run(first_estimation=10, seed=seed).estimations[0].eigenvalues for seed in (1, 1, 2)]
    assert np.array_equal(seeds[0], seeds[1])
    assert not np.array_equal(seeds[0], seeds[2])
    assert run(maxcor=1, estimate=False).cost > plain.cost
    assert run(lower_bound=0.0).success


def test_a_saddle_is_left():
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4, np.array([2 * x[0], -2 * x[1] + 4 * x[1] ** 3])

    start = np.array([1.0, 0.0])
    there = minimize(saddle, start, jac=True, method=fosi.minimize)
    assert np.allclose(there.x, 0.0, atol=1e-6) and there.curvature == "not examined"
    options = {"check_minimum": True, "estimate": False}
    left = minimize(saddle, start, jac=True, method=fosi.minimize, options=options)
    assert abs(left.fun + 0.25) < 1e-9
    assert left.curvature == "none negative" and left.smallest_curvature > 0
    assert left.spectrum is None
    assert len(left.estimations) == 2 and not any(estimation.in_metric for estimation in left.estimations)


def test_disp_prints_how_the_run_ended(capsys):
    minimize(rosen, START, jac=rosen_der, method=fosi.minimize)
    assert capsys.readouterr().out == ""
    result = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options={"disp": True})
    printed = capsys.readouterr().out
    assert "terminated successfully" in printed and f"Iterations: {result.nit}" in printed
    minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options={"disp": True, "maxiter": 1})
    assert "the number of steps is used up" in capsys.readouterr().out


def test_results_are_pickled():
    result = minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options={"first_estimation": 5})
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.x, result.x) and again.message == result.message
    assert np.array_equal(again.spectrum.eigenvalues, result.spectrum.eigenvalues)
    assert again.estimations[0].products == result.estimations[0].products


def test_starts_keep_their_precision():
    def evaluate(x):
        assert x.dtype == expected
        return float(x @ x), 2 * x

    for start, expected in (
        (np.ones(3, np.float32), np.float32),
        (np.ones(3), np.float64),
        ([1, 2, 3], np.float64),
        (2.0, np.float64),
        (np.arange(6.0)[::2], np.float64),
    ):
        result = fosi.minimize(evaluate, start)
        assert result.success and result.x.dtype == result.jac.dtype == expected


def test_values_and_gradients_in_other_forms():
    for form in (
        lambda x: (np.float32(x @ x), list(2 * x)),
        lambda x: [np.array([x @ x]), (2 * x).astype(np.longdouble)],
        lambda x: (np.array(x @ x), np.vstack([2 * x, x]).T[:, 0]),
        lambda x: (x @ x, np.vstack([2 * x, x]).T[:, 0]),
    ):
        assert fosi.minimize(form, np.array([1.0, 2.0, 3.0]), check_gradient=False).success
    assert fosi.minimize(lambda x: (x[0] ** 2, 2 * x[0]), [3.0]).success


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        ({"jac": None}, ValueError, "needs the gradient"),
        ({"jac": "2-point"}, ValueError, "no differences of values"),
        ({"hess": "2-point"}, ValueError, "leave it out"),
        ({"bounds": [(0, 1)] * 5}, ValueError, "no bounds"),
        ({"constraints": {"type": "eq", "fun": rosen}}, ValueError, "no constraints"),
        ({"constraints": [{"type": "eq", "fun": rosen}]}, ValueError, "no constraints"),
        ({"options": {"gtol": -1.0}}, ValueError, "gtol is -1"),
        ({"options": {"gtol": float("nan")}}, ValueError, "gtol is NaN"),
        ({"options": {"ftol": -1.0}}, ValueError, "ftol is -1"),
        ({"options": {"gtol_rel": -1.0}}, ValueError, "gtol_rel is -1"),
        ({"options": {"gtol": "small"}}, TypeError, "gtol is 'small', but must be a number"),
        ({"options": {"maxcor": 100_000}}, ValueError, "maxcor is 100000"),
        ({"options": {"maxcor": -1}}, ValueError, "maxcor is -1"),
        ({"options": {"maxiter": 1.5}}, TypeError, "maxiter is 1.5"),
        ({"options": {"maxiter": float("nan")}}, TypeError, "maxiter is nan"),
        ({"options": {"maxtime": float("nan")}}, ValueError, "maxtime is NaN"),
        ({"options": {"maxtime": -1.0}}, ValueError, "maxtime is -1"),
        ({"options": {"lanczos_steps": 0}}, ValueError, "lanczos_steps is 0"),
        ({"options": {"lower_bound": float("inf")}}, ValueError, "lower_bound is inf"),
        ({"options": {"eigenpairs": 3, "max_eigenpairs": 4}}, ValueError, "not both"),
    ],
)
def test_what_is_impossible_is_refused(wrong, error, words):
    given = {"jac": rosen_der, **wrong}
    with pytest.raises(error, match=words):
        minimize(rosen, START, method=fosi.minimize, **given)


def test_starts_that_are_refused():
    with pytest.raises(ValueError, match="2 dimensions"):
        fosi.minimize(rosen, np.ones((2, 2)), jac=rosen_der)
    with pytest.raises(TypeError, match="real numbers"):
        fosi.minimize(rosen, np.ones(2, complex), jac=rosen_der)
    with pytest.raises(ValueError, match="at least 1"):
        fosi.minimize(lambda x: (0.0, x), [])


def test_unknown_options_are_warned_of():
    with pytest.warns(OptimizeWarning, match="maxitre"):
        minimize(rosen, START, jac=rosen_der, method=fosi.minimize, options={"maxitre": 3})


@pytest.mark.parametrize(
    "returned, error, words",
    [
        (lambda x: x @ x, TypeError, "its value and its gradient"),
        (lambda x: ("much", 2 * x), TypeError, "the function must return a real number"),
        (lambda x: (x @ x + 0j, 2 * x), TypeError, "the function must return a real number"),
        (lambda x: (x @ x, 2 * x[:2]), ValueError, r"an array of 3 numbers .* shape \[2\]"),
        (lambda x: (x @ x, (2 * x)[:, None]), ValueError, r"shape \[3, 1\]"),
        (lambda x: (x @ x, 2j * x), TypeError, "the gradient must be an array of real numbers"),
        (lambda x: (x @ x, None), TypeError, "the gradient must be an array of real numbers"),
    ],
)
def test_what_functions_may_not_return(returned, error, words):
    with pytest.raises(error, match=words):
        fosi.minimize(returned, np.ones(3))


@pytest.mark.parametrize("hess", [lambda x: np.eye(3), lambda x: None, lambda x: diags_array(np.ones(3))])
def test_what_hess_may_not_return(hess):
    options = {"first_estimation": 0}
    with pytest.raises(ValueError, match=r"hess must return a matrix of the shape \(5, 5\)"):
        minimize(rosen, START, jac=rosen_der, hess=hess, method=fosi.minimize, options=options)


def test_wrong_functions_are_found_at_the_start():
    with pytest.raises(ValueError, match="is not the function's"):
        minimize(rosen, START, jac=lambda x: -rosen_der(x), method=fosi.minimize)
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two evaluations"):
        fosi.minimize(lambda x: (x @ x + random.normal(), 2 * x), START)
    unchecked = {"check_gradient": False, "maxiter": 5}
    assert minimize(rosen, START, jac=lambda x: 2 * rosen_der(x), method=fosi.minimize, options=unchecked).nit == 5


def test_a_linear_operator_with_more_variables():
    diagonal = np.geomspace(1.0, 1e5, 300)
    matrix = diags_array(diagonal)
    result = minimize(
        lambda x: 0.5 * x @ (matrix @ x),
        np.ones(300),
        jac=lambda x: matrix @ x,
        hess=lambda x: aslinearoperator(matrix),
        method=fosi.minimize,
        options={"gtol": 1e-6},
    )
    assert result.success and np.linalg.norm(result.x) < 1e-5
    assert abs(result.spectrum.maximum - 1e5) < 1.0
