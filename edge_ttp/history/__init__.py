"""What each user has written, kept on this device: items, recall, generations with all candidates, feedback."""

from edge_ttp.history.health import Health
from edge_ttp.history.items import Counts
from edge_ttp.history.recall import Recalled
from edge_ttp.history.search import Found
from edge_ttp.history.statistics import Stats
from edge_ttp.history.store import History

__all__ = ["Counts", "Found", "Health", "History", "Recalled", "Stats"]
