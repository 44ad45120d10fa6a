// The page of one router.

export const RouterPage = ({ address }: { address: string }) => <h1>{address}</h1>;
