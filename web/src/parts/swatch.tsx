// The colour of a layer of a chart, beside its name.

export const Swatch = ({ colour }: { colour: number }) => (
  <span class={`swatch swatch-${colour < 0 ? "others" : colour % 10}`} aria-hidden="true" />
);
