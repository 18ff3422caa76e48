"""The scaling law of Best-of-N selection: order statistics, curves, the four quantities, predictions. Pure numpy.

Arrays in, arrays or small frozen dataclasses out; no file, no clock, no state. Formulas and estimators are this
project's own reading of the abstract of arXiv 2605.10991, checked by simulation (`edge-ttp bench scaling`).
"""

from edge_ttp.scaling.collapse import Users, judge_users
from edge_ttp.scaling.correlation import QueryEvidence, correlate
from edge_ttp.scaling.curves import (
    CeilingFit,
    Ceilings,
    RuleCurve,
    best_of_n,
    curve_of_rule,
    exponential_fits_better,
    fit_ceilings,
    oracle_of_n,
    subset_weights,
)
from edge_ttp.scaling.deconvolution import Deconvolution, Moments, naive_moments, normal_moments
from edge_ttp.scaling.gauge import Rates
from edge_ttp.scaling.intervals import UNKNOWN, Estimate, interval, resampled, wilson
from edge_ttp.scaling.law import Law, marginal_gain, skewed_share
from edge_ttp.scaling.order_statistics import (
    expected_maximum,
    exponential_ceiling,
    gaussian_ceiling,
    harmonic,
    skewed_maximum,
    square_of_maximum,
    subexponential_bound,
)
from edge_ttp.scaling.pools import LONGEST_CURVE, Gains, Pools, Skewness, gains, longest_curve
from edge_ttp.scaling.quantities import Quantities, four_quantities

__all__ = [
    "LONGEST_CURVE",
    "UNKNOWN",
    "CeilingFit",
    "Ceilings",
    "Deconvolution",
    "Estimate",
    "Gains",
    "Law",
    "Moments",
    "Pools",
    "Quantities",
    "QueryEvidence",
    "Rates",
    "RuleCurve",
    "Skewness",
    "Users",
    "best_of_n",
    "correlate",
    "curve_of_rule",
    "expected_maximum",
    "exponential_ceiling",
    "exponential_fits_better",
    "fit_ceilings",
    "four_quantities",
    "gains",
    "gaussian_ceiling",
    "harmonic",
    "interval",
    "judge_users",
    "longest_curve",
    "marginal_gain",
    "naive_moments",
    "normal_moments",
    "oracle_of_n",
    "resampled",
    "skewed_maximum",
    "skewed_share",
    "square_of_maximum",
    "subexponential_bound",
    "subset_weights",
    "wilson",
]
