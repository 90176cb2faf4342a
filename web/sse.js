// Server-sent events, as much of them as the API uses: data lines, comments, and whatever line ends
// a proxy makes. Feed it text as it comes; it hands back the data of every event that is complete.
export class EventParser {
  #pieces = []; // of the line that has not ended
  #data = [];
  #begun = false;
  #after_cr = false;

  push(text) {
    const events = [];
    if (!this.#begun && text !== '') {
      this.#begun = true;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    if (this.#after_cr && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#after_cr = text.endsWith('\r');
    const end = /\r\n|\n|\r/g;
    let start = 0;
    for (let found = end.exec(text); found; found = end.exec(text)) {
      this.#pieces.push(text.slice(start, found.index));
      this.#line(this.#pieces.join(''), events);
      this.#pieces = [];
      start = end.lastIndex;
    }
    if (start < text.length) this.#pieces.push(text.slice(start));
    return events;
  }

  #line(line, events) {
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'));
      this.#data = [];
    } else if (line.startsWith('data:')) {
      this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
}
