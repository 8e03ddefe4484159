"""Names for types that every core uses."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Float32: TypeAlias = NDArray[np.float32]
Image: TypeAlias = NDArray[np.uint8]
Depth: TypeAlias = NDArray[np.uint16]
"""(height, width) millimetres along the optical axis, 0 where not known."""
Pose: TypeAlias = NDArray[Any]
"""(7,) float64: position x, y, z in m and unit quaternion x, y, z, w, as geometry_msgs orders it."""
