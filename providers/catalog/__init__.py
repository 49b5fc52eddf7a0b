"""What each image model on Bedrock can do, as data: tasks, sizes, limits, seeds, regions, dates, and their sources."""

from .catalog import Catalog
from .model import Field, InputFacts, Lifecycle, Model, Quota, SeedFacts, Sizes, TaskFacts

__all__ = ["Catalog", "Field", "InputFacts", "Lifecycle", "Model", "Quota", "SeedFacts", "Sizes", "TaskFacts"]
