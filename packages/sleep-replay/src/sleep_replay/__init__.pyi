from .data import Experience as Experience
from .data import ImageSet as ImageSet
from .data import load_experience as load_experience
from .evaluate import Evaluation as Evaluation
from .experiments.latent import Latent as Latent
from .experiments.mixtures import Baselines as Baselines
from .experiments.mixtures import Interleave as Interleave
from .experiments.mixtures import Samples as Samples
from .experiments.pretrain import Pretrain as Pretrain
from .experiments.recall import Recall as Recall
from .experiments.schedule import Schedule as Schedule
from .experiments.schedule import Sweep as Sweep
from .experiments.schedule import (
    train_with_schedule_multiple_seeds as train_with_schedule_multiple_seeds,
)
from .experiments.schedule import (
    train_with_scheduler_multiple_seeds as train_with_scheduler_multiple_seeds,
)
from .model import VAE as VAE
from .parameters import Cycle as Cycle
from .parameters import Learning as Learning
from .parameters import Model as Model
from .parameters import Night as Night
from .sleep import Slept as Slept
from .train import Trainer as Trainer
