"""Bodies of users' own recordings, described in params.yaml by the names of their joints."""

from pydantic import Field, model_validator

from kinemask.section import Section
from kinemask.skeleton.layout import Layout, repeated


class BodyConfig(Section):
    """A body: its joints in the order of the files, what each hangs on, its parts, its two sides."""

    name: str = Field(min_length=1)
    joints: tuple[str, ...] = Field(min_length=2)
    parents: dict[str, str]  # of every joint but the root
    parts: dict[str, tuple[str, ...]] = Field(min_length=2)  # each joint in one of them
    mirrored: tuple[tuple[str, str], ...]  # pairs of left and right; what is not named is its own mirror

    @model_validator(mode="after")
    def _is_a_body(self) -> "BodyConfig":
        problems = [
            *self._unknown("parents", [name for pair in self.parents.items() for name in pair]),
            *(one for part, joints in self.parts.items() for one in self._unknown(f"parts.{part}", joints)),
            *self._unknown("mirrored", [name for pair in self.mirrored for name in pair]),
        ]
        sided = repeated(name for pair in self.mirrored for name in pair)
        if sided:
            problems.append(f"mirrored names {', '.join(sided)} more than once")
        roots = [joint for joint in self.joints if self.parents.get(joint, joint) == joint]
        if len(roots) != 1:
            named = f": {', '.join(roots)}" if roots else ""
            problems.append(f"{len(roots)} joints without a parent{named}; expected one, the root")
        if not problems:
            try:
                self.layout()
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def layout(self) -> Layout:
        """The body in numbers; its parts in the order of their first joints, however the file sorts them."""
        number = {joint: place for place, joint in enumerate(self.joints)}
        other = dict(self.mirrored) | {right: left for left, right in self.mirrored}
        parts = {
            part: tuple(sorted(number[joint] for joint in joints)) for part, joints in self.parts.items()
        }
        return Layout(
            name=self.name,
            joints=self.joints,
            parents=tuple(number[self.parents.get(joint, joint)] for joint in self.joints),
            parts=dict(sorted(parts.items(), key=lambda part: part[1])),
            mirrored=tuple(number[other.get(joint, joint)] for joint in self.joints),
        )

    def _unknown(self, place: str, names: "list[str] | tuple[str, ...]") -> list[str]:
        unknown = sorted(set(names) - set(self.joints))
        return [f"{place} names {', '.join(unknown)}, which joints does not list"] if unknown else []
