// Server-sent events, as much of them as the API uses: data lines, comments, and whatever line ends
// a proxy makes. Feed it text as it comes; it hands back the data of every event that is complete.
export class EventParser {
    #rest = '';
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
        // A line that comes in a thousand pieces is searched for its end once a piece.
        const from = this.#rest.length;
        const buffer = this.#rest + text;
        const end = /\r\n|\n|\r/g;
        end.lastIndex = from;
        let start = 0;
        for (let found = end.exec(buffer); found; found = end.exec(buffer)) {
            this.#line(buffer.slice(start, found.index), events);
            start = end.lastIndex;
        }
        this.#rest = buffer.slice(start);
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
