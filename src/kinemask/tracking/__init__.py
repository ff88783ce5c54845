"""MLflow as a view of the records: it is sent what the records say, and no run ever waits for it."""

import os

# Before MLflow is imported here, and inherited by the processes started from here.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
# One try of five seconds: MLflow's own defaults wait for minutes on a server that is down.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
