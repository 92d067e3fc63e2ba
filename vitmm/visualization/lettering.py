"""Lines of text in pictures."""

from PIL import ImageFont


def wrap(text: str, letters: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The lines, one at least, of a text that fit into ``width`` pixels."""
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}' if lines[-1] else word
        if letters.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append('')
        for letter in word:  # a word longer than a line is broken
            if lines[-1] and letters.getlength(lines[-1] + letter) > width:
                lines.append('')
            lines[-1] += letter
    return lines
