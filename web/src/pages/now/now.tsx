// The Now page.

export const NowPage = () => <h1>Now</h1>;
