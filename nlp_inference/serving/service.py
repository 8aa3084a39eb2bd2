"""What the endpoints share: the models, the predictions and the settings of one server."""

from dataclasses import dataclass, field

from nlp_inference.serving.metrics import Metrics
from nlp_inference.serving.models import Models
from nlp_inference.serving.predictions import Predictions
from nlp_inference.serving.scheduler import Scheduler
from nlp_inference.serving.settings import ServerSettings
from nlp_inference.serving.tracing import Tracing


@dataclass
class Service:
    """The objects of one server.

    Attributes:
        draining: whether the server completes accepted requests and refuses new ones.
        tracing: what records spans; `None` if it is off.
    """

    models: Models
    settings: ServerSettings
    scheduler: Scheduler
    draining: bool = False
    metrics: Metrics = field(init=False)
    tracing: Tracing | None = field(init=False)
    predictions: Predictions = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.scheduler)
        self.tracing = Tracing() if self.settings.tracing else None
        self.predictions = Predictions(self.scheduler, self.settings, self.metrics, self.tracing)
