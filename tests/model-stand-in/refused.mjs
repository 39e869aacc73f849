// A request that the real API would not take, either.
export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}
