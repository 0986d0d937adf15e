"""One figure a module, behind `surfaces.plot`; `style` holds what they share."""
