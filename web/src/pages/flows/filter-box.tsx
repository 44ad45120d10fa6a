// The filter of the Flows page: it completes words, shows errors at their place, and can be saved.
import { useEffect, useRef, useState } from "preact/hooks";
import { forget, keep, saved } from "./saved";
import { completions, placeOf } from "./words";

interface FilterProps {
  filter: string;
  error: Error | undefined;
  onChange: (filter: string) => void;
}

export function FilterBox({ filter, error, onChange }: FilterProps) {
  const input = useRef<HTMLInputElement>(null);
  const words = useRef<HTMLDivElement>(null);
  const [text, setText] = useState(filter);
  const [cursor, setCursor] = useState(filter.length);
  useEffect(() => setText(filter), [filter]);
  const place = error && placeOf(error.message);
  const offered = text === filter ? { start: 0, words: [] } : completions(text, cursor);
  const read = () => {
    setText(input.current?.value ?? "");
    setCursor(input.current?.selectionStart ?? 0);
  };
  const complete = (word: string) => {
    setText(`${text.slice(0, offered.start)}${word} ${text.slice(cursor).trimStart()}`);
    setCursor(offered.start + word.length + 1);
    input.current?.focus();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    onChange(text.trim());
  };
  return (
    <form class="filter" onSubmit={submit}>
      <label class="field">
        <span class="field-label">Filter, such as: src net 192.0.2.0/24 and dst port 443</span>
        <input
          ref={input}
          value={text}
          spellcheck={false}
          autocomplete="off"
          placeholder="all flows"
          onInput={read}
          onKeyUp={read}
          onKeyDown={(event) => {
            if (event.key !== "ArrowDown" || !words.current) return;
            event.preventDefault();
            words.current.querySelector("button")?.focus();
          }}
          aria-invalid={place ? true : undefined}
          aria-describedby="filter-problem"
        />
      </label>
      <button type="submit" class="primary">
        Show
      </button>
      <SavedFilters filter={filter} onChange={onChange} />
      {offered.words.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out in a row
        <div ref={words} class="completions" role="group" aria-label="Words that fit">
          {offered.words.map((word) => (
            <button key={word} type="button" class="quiet" onClick={() => complete(word)}>
              {word}
            </button>
          ))}
        </div>
      )}
      <FilterProblem filter={filter} place={place ?? null} />
    </form>
  );
}

interface SavedProps {
  filter: string;
  onChange: (filter: string) => void;
}

function SavedFilters({ filter, onChange }: SavedProps) {
  const isSaved = saved.value.includes(filter);
  return (
    <>
      {filter && (
        <button type="button" onClick={() => (isSaved ? forget(filter) : keep(filter))}>
          {isSaved ? "Forget this filter" : "Save this filter"}
        </button>
      )}
      {saved.value.length > 0 && (
        <label class="field">
          <span class="field-label">Saved filters</span>
          <select value={isSaved ? filter : ""} onChange={(event) => onChange(event.currentTarget.value)}>
            <option value="">–</option>
            {saved.value.map((text) => (
              <option key={text} value={text}>
                {text}
              </option>
            ))}
          </select>
        </label>
      )}
    </>
  );
}

interface ProblemProps {
  filter: string;
  place: { column: number; text: string } | null;
}

function FilterProblem({ filter, place }: ProblemProps) {
  if (!place) return null;
  const characters = [...filter];
  const before = characters.slice(0, place.column - 1).join("");
  const wrong =
    characters
      .slice(place.column - 1)
      .join("")
      .match(/^\S*/)?.[0] || " ";
  return (
    <div id="filter-problem" class="problem" role="alert">
      <code class="filter-place">
        {before}
        <mark>{wrong}</mark>
        {filter.slice(before.length + wrong.length)}
      </code>
      <p>
        Column {place.column}: {place.text}
      </p>
    </div>
  );
}
