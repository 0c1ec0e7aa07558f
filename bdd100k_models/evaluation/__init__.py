"""The official evaluation: every metric of every task, from arrays.

:func:`bdd100k_models.evaluation.run.evaluate` scores files; :class:`bdd100k_models.evaluation.result.Result` holds the
scores; below them stand one evaluator a task and functions on arrays.
"""
