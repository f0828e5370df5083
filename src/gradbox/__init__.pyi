# The public names: the one list of them. They are imported when they are first used.
from .attribution.gradients import Outputs as Outputs
from .attribution.gradients import input_gradient as input_gradient
from .attribution.method import MapMethod as MapMethod
from .attribution.sensitivity import Sensitivity as Sensitivity
from .dam.localizer import Dam as Dam
from .datasets import load_dataset as load_dataset
from .errors import ImageError as ImageError
from .errors import UsageError as UsageError
from .estimators.learned import Regressor as Regressor
from .estimators.untrained import Mass as Mass
from .estimators.untrained import TopFraction as TopFraction
from .geometry import Frame as Frame
from .images.preprocessing import Preprocessing as Preprocessing
from .images.reading import Reading as Reading
from .localization import Batch as Batch
from .localization import Localization as Localization
from .localization import Localizer as Localizer
from .localization import Region as Region
from .localization import Sample as Sample
from .localization import Selection as Selection
from .models.classifier import Classifier as Classifier
from .models.heads import Head as Head
from .models.load import load_classifier as load_classifier
from .pipeline import evaluate as evaluate
from .pipeline import localize as localize
from .pipeline import locate as locate
from .results.heatmaps import open_maps as open_maps
from .results.predictions import read_predictions as read_predictions
from .runs.comparison import compare as compare
from .runs.evaluation import Part as Part
from .runs.execution import Running as Running
from .runs.fitting import fit as fit
from .scores.boxes import Scores as Scores
from .scores.boxes import Unit as Unit
from .training.train import train as train

__version__: str
