"""The engine room: numba nopython, scalar or 1-D, unchecked, no allocation.

Importing any kernel first points numba's cache at a folder named by the content of all kernels,
because numba itself does not notice an edited callee in another file.
"""

from surfaces.kernels.cache import prepare

prepare()
