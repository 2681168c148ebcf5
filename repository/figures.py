"""How figures of a model are called, wherever people are told them."""

from repository.manifest import Evaluation

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "exact_match": "all labels right",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "RMSE",
    "r2": "R²",
    "spearman": "rank correlation",
    "agreement": "agreement",
}


def headline(evaluation: Evaluation | None) -> str:
    """Return the one figure that stands for a version in a list: macro-F1; of a regression the mean absolute error."""
    if evaluation is None:
        return "-"
    if evaluation.macro_f1 is not None:
        return f"{evaluation.macro_f1:.3f}"
    error = evaluation.figures.get("mean_absolute_error")
    return "-" if error is None else f"± {error:.3g}"
