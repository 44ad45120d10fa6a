// Buttons that save the chart within an element as a picture.
import type { RefObject } from "preact";
import { chartSvg, drawnCharts, elementSvg } from "./chart-svg";
import { save } from "./download";

interface Props {
  /** The name of the files, without their ends. */
  name: string;
  within: RefObject<Element | null>;
}

export function ChartFiles({ name, within }: Props) {
  const svg = () => svgWithin(within.current);
  return (
    <>
      <button type="button" onClick={() => savePng(`${name}.png`, svg())}>
        PNG
      </button>
      <button type="button" onClick={() => save(`${name}.svg`, svg(), "image/svg+xml")}>
        SVG
      </button>
    </>
  );
}

function svgWithin(element: Element | null): string {
  const drawn = [...(element?.querySelectorAll(".chart-frame") ?? [])].map((frame) => drawnCharts.get(frame))[0];
  if (drawn) return chartSvg(drawn.mirrored, drawn.label, drawn.colours);
  const picture = element?.querySelector<SVGSVGElement>("svg.picture");
  return picture ? elementSvg(picture) : "";
}

/** The picture of an SVG, at twice its size: screens have small pixels. */
async function savePng(name: string, svg: string): Promise<void> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * 2;
  canvas.height = image.naturalHeight * 2;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => blob && save(name, blob));
}
