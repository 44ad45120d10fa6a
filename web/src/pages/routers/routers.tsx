// The Routers page.

export const RoutersPage = () => <h1>Routers</h1>;
