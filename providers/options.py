"""What only some tasks know, under one name for every model. Families translate; what a model lacks is warned or refused.

Names are those of ``ImageRequest.options``; a value is checked by the family against the catalogue's limits.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["OPTIONS"]

OPTIONS = MappingProxyType(
    {
        "strength": "0 to 1: how far image_to_image may move away from the picture (1 ignores it)",
        "similarity": "0.2 to 1: how close a variation stays to its pictures",
        "mask_prompt": "words for the area to change, instead of a mask",
        "search_prompt": "words for what search_replace replaces",
        "select_prompt": "words for what search_recolor recolours",
        "grow_mask": "pixels by which the mask is widened",
        "control_strength": "0 to 1: how closely structure or sketch is followed",
        "control_mode": "canny_edge or segmentation",
        "creativity": "how much an upscaler or outpainter may invent",
        "fidelity": "0 to 1: how closely style_guide follows the style",
        "composition_fidelity": "0 to 1: how closely style_transfer keeps the composition",
        "style_strength": "0 to 1: how much style style_transfer applies",
        "change_strength": "0.1 to 1: how much style_transfer changes",
        "colors": "up to ten colours as #RRGGBB",
        "left": "pixels to add on the left",
        "right": "pixels to add on the right",
        "up": "pixels to add above",
        "down": "pixels to add below",
        "outpaint_mode": "default or precise",
        "garment_class": "what is tried on, for a mask made from the garment",
        "mask_shape": "contour, bounding_box or default",
        "long_sleeve_style": "sleeve_down or sleeve_up",
        "tucking_style": "untucked or tucked",
        "outer_layer_style": "closed or open",
        "preserve_face": "on, off or default",
        "preserve_hands": "on, off or default",
        "preserve_body_pose": "on, off or default",
        "merge_style": "balanced, seamless or detailed",
        "return_mask": "true or false",
    }
)
"""Option names, and what each means."""
