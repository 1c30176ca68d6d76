"""The description of the API, and a page to read and try it."""

from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue

from flask_app.openapi import document, reference_page

blueprint = Blueprint("docs", __name__)


@blueprint.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Describe the API as it is with the model in Production."""
    described = document.from_app(current_app)
    response = Response(described.text, mimetype="application/json")
    response.set_etag(described.etag)
    response.headers["Cache-Control"] = "no-cache"
    return response.make_conditional(request)


@blueprint.get("/docs")
def page() -> ResponseReturnValue:
    """Show the API to people, who can try it."""
    api = document.from_app(current_app).content
    return render_template(
        "docs.html", api=api, groups=reference_page.groups(api), spellings=reference_page.spellings(api)
    )
