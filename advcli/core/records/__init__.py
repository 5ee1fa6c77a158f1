"""One line of records.jsonl: what is known about one item under one case, as pydantic models.

The keys are the public contract; ``advcli run schema COMMAND`` prints it. Records hold no times and no host names, so
that they are byte-equal between runs.
"""

from advcli.core.records.attack import AttackRecord
from advcli.core.records.base import SCHEMA_VERSION, AnyRecord, ErrorRecord, ImageRecord, Record, Result, Top
from advcli.core.records.comparing import CompareRecord, ProbeRow, RegionRow, SimilarityRow
from advcli.core.records.maps import MapRecord, MaskRecord
from advcli.core.records.noise import NoiseHit, NoiseRecord
from advcli.core.records.training import EpochRecord

__all__ = [
    "SCHEMA_VERSION",
    "AnyRecord",
    "AttackRecord",
    "CompareRecord",
    "EpochRecord",
    "ErrorRecord",
    "ImageRecord",
    "MapRecord",
    "MaskRecord",
    "NoiseHit",
    "NoiseRecord",
    "ProbeRow",
    "Record",
    "RegionRow",
    "Result",
    "SimilarityRow",
    "Top",
]
